"""Training on more than one worker: groups of processes (MPI, torch.distributed) or threads, and what they share."""

from __future__ import annotations

from typing import Any

from ..errors import DataError
from ._agreement import FLAGS, Agreed, everywhere
from ._group import Group, told_by
from ._local_sgd import LocalSGD, Outer
from ._parts import Parts, joined, parted
from ._report import first_of_machine
from ._shard import Shard
from ._team import Share, Team, digest, team_of
from ._threads import Threads, in_threads

__all__ = [
    "FLAGS",
    "Agreed",
    "Group",
    "LocalSGD",
    "Outer",
    "Parts",
    "Shard",
    "Share",
    "Team",
    "Threads",
    "digest",
    "everywhere",
    "first_of_machine",
    "in_threads",
    "joined",
    "parted",
    "team_of",
    "told_by",
    "workers",
]


def workers(engine: str | None = None) -> Any:
    """The workers that train together, for `fit(…, workers=…)` and `make_train_step(…, workers=…)`.

    engine : "mpi", the processes that mpiexec, srun or the like has started (needs the extra `mpi`, or mpi4py and the
        cluster's own MPI); "nccl", the same, each with a GPU of its own, which it makes CuPy's current one, and sums of
        CuPy's arrays go from GPU to GPU; "torch", those that torchrun or Ray has started, by torch.distributed (gloo);
        "threads:4", four threads of this process, for tests; None, this process alone.
    Returns this process's place among them: rank, size. Ask once a process. Raises WorkerError, with the remedy, where
    the engine is missing or was not started.

    >>> workers(None)
    <worker 0 of 1, alone>
    """
    if engine is None:
        return Group()
    name, _, count = str(engine).partition(":")
    if name == "threads" and count.isdigit() and int(count) >= 1:
        return Threads(int(count))
    if engine == "mpi":
        from ._mpi import join as join_mpi

        return join_mpi()
    if engine == "nccl":
        from ._nccl import join as join_nccl

        return join_nccl()
    if engine == "torch":
        from ._torch import join as join_torch

        return join_torch()
    raise DataError(f"workers takes 'mpi', 'nccl', 'torch', 'threads:4' or None, got {engine!r}")
