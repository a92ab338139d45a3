"""MPI through mpi4py: processes that mpiexec, srun or another launcher has started."""

from __future__ import annotations

import os
import re
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from ..backends import share_machine
from ..errors import WorkerError
from ._group import Group
from ._report import code_of, end_all_when_uncaught, report

#: environment variables in which launchers give the number of processes, and the launchers' names
LAUNCHERS = {
    "OMPI_COMM_WORLD_SIZE": "Open MPI's mpiexec",
    "PMI_SIZE": "the mpiexec of MPICH or Intel MPI",
    "MV2_COMM_WORLD_SIZE": "MVAPICH's mpiexec",
    "SLURM_STEP_NUM_TASKS": "srun",
}


class MPIGroup(Group):
    """The processes of MPI.COMM_WORLD."""

    name = "mpi"

    def __init__(self, mpi: Any) -> None:
        self.mpi, self.comm = mpi, mpi.COMM_WORLD.Dup()  # of its own, so that it meets no messages of the program's
        self.rank, self.size = self.comm.rank, self.comm.size
        local = self.comm.Split_type(mpi.COMM_TYPE_SHARED)
        self.local_rank, self.local_size = local.rank, local.size

    def sum(self, flat: np.ndarray) -> np.ndarray:
        self.comm.Allreduce(self.mpi.IN_PLACE, flat, self.mpi.SUM)
        return flat

    def slices(self, padded: np.ndarray) -> np.ndarray:
        received = np.empty_like(padded)
        self.comm.Alltoall(padded, received)
        return received

    def joined(self, part: np.ndarray) -> np.ndarray:
        received = np.empty(self.size * part.size, part.dtype)
        self.comm.Allgather(part, received)
        return received

    def swap(self, parts: list[np.ndarray], sizes: list[int]) -> list[np.ndarray]:
        received = np.empty(sum(sizes), np.uint8)
        self.comm.Alltoallv([np.concatenate(parts), [part.size for part in parts]], [received, sizes])
        return np.split(received, np.cumsum(sizes)[:-1])

    def bcast(self, value: Any) -> Any:
        return self.comm.bcast(value)

    def gather(self, value: Any) -> list[Any]:
        found: list[Any] = self.comm.allgather(value)
        return found

    def abort(self, error: BaseException) -> None:
        """Report the error and end every process at once. It returns only where this process is the only one."""
        if self.size > 1:
            report(self.rank, self.size, error, full=not self.brief)
            self.comm.Abort(code_of(error))


@lru_cache(maxsize=1)
def join() -> MPIGroup:
    """This process's place among those of its job. Raises WorkerError, with the remedy, where mpi4py or MPI is missing,
    or where another MPI's mpiexec has started the processes, so that each sees itself alone."""
    try:
        import mpi4py
    except ImportError:
        raise WorkerError(
            'workers("mpi") needs mpi4py and an MPI: pip install "arraynn[mpi]" brings both; on a cluster, load its '
            "MPI and pip install mpi4py"
        ) from None
    mpi4py.rc.initialize, mpi4py.rc.finalize = False, True  # begun below; MPI ends with the process all the same
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise WorkerError(_no_library(error)) from None
    library = re.split(r"[,\n]", MPI.Get_library_version())[0].strip()
    started = {name: int(os.environ[name]) for name in LAUNCHERS if os.environ.get(name, "").isdigit()}
    if not MPI.Is_initialized():
        # MPICH ends the process where it meets the environment of Open MPI's mpiexec, without an exception
        others = "OMPI_COMM_WORLD_SIZE" in started and not library.startswith("Open MPI")
        if others and len(started) == 1 and started["OMPI_COMM_WORLD_SIZE"] > 1:
            raise WorkerError(_mismatched("OMPI_COMM_WORLD_SIZE", started["OMPI_COMM_WORLD_SIZE"], library))
        with warnings.catch_warnings():  # of another MPI's launcher, which is told below
            warnings.filterwarnings("ignore", "suspicious MPI execution environment")
            MPI.Init_thread()
    group = MPIGroup(MPI)
    for name, size in started.items():
        if group.size == 1 and size > 1:
            raise WorkerError(_mismatched(name, size, library))
    share_machine(group.local_size)
    if group.size > 1:
        end_all_when_uncaught(group.rank, group.abort)
    return group


def _mismatched(launcher: str, size: int, library: str) -> str:
    return (
        f"{LAUNCHERS[launcher]} has started {size} processes, but mpi4py here uses another MPI ({library}), to "
        f"which each is alone: start them with the mpiexec that belongs to it, or install mpi4py for the other"
    )


def _no_library(error: BaseException) -> str:
    said = " ".join(" ".join(str(error).splitlines()[:2]).split())  # it names one file after another
    return (
        f"mpi4py is there but finds no MPI library ({said}): pip install mpich, or load your cluster's MPI, or set "
        f"MPI4PY_LIBMPI to its libmpi.so"
    )
