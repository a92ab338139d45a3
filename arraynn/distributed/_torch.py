"""torch.distributed with gloo. Joins processes that torchrun, Ray or another launcher has started; starts none."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from ..backends import share_machine
from ..errors import WorkerError
from ._group import Group
from ._report import report


class TorchGroup(Group):
    """The processes of torch.distributed's default group, or of a gloo group beside it where that is NCCL's."""

    name = "torch"

    def __init__(self, torch: Any) -> None:
        self.torch, self.dist = torch, torch.distributed
        if not self.dist.is_initialized():
            store, rank, size = next(self.dist.rendezvous("env://"))
            # torchrun may keep the store when it starts the workers again, with the addresses of those that ended
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            store = self.dist.PrefixStore(f"arraynn/{attempt}", store)
            self.dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
            atexit.register(self.dist.destroy_process_group)  # its threads must have ended before the process does
        # numbers lie on the host, which NCCL does not serve
        self.group = None if self.dist.get_backend() == "gloo" else self.dist.new_group(backend="gloo")
        # under its new name, where there is one: the old one warns then
        self.join = getattr(self.dist, "all_gather_single", None) or self.dist.all_gather_into_tensor
        self.rank, self.size = self.dist.get_rank(), self.dist.get_world_size()
        self.local_rank, self.local_size = self._place_here()

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """Raises gloo's errors, as when a connection breaks off, as WorkerError."""
        try:
            yield
        except RuntimeError as error:
            said = " ".join(str(error).split())[:200]
            raise WorkerError(f"another worker has ended, or cannot be reached any more: {said}") from None

    def sum(self, flat: np.ndarray) -> np.ndarray:
        with self._exchange():
            self.dist.all_reduce(self.torch.from_numpy(flat), group=self.group)
        return flat

    def slices(self, padded: np.ndarray) -> np.ndarray:
        received = np.empty_like(padded)
        numbers = self.torch.from_numpy(received), self.torch.from_numpy(padded)
        with self._exchange():
            self.dist.all_to_all_single(*numbers, group=self.group)
        return received

    def joined(self, part: np.ndarray) -> np.ndarray:
        received = np.empty(self.size * part.size, part.dtype)
        numbers = self.torch.from_numpy(received), self.torch.from_numpy(part)
        with self._exchange():
            self.join(*numbers, group=self.group)
        return received

    def swap(self, parts: list[np.ndarray], sizes: list[int]) -> list[np.ndarray]:
        received = np.empty(sum(sizes), np.uint8)
        numbers = self.torch.from_numpy(received), self.torch.from_numpy(np.concatenate(parts))
        with self._exchange():
            self.dist.all_to_all_single(*numbers, sizes, [part.size for part in parts], group=self.group)
        return np.split(received, np.cumsum(sizes)[:-1])

    def bcast(self, value: Any) -> Any:
        box = [value]
        with self._exchange():
            self.dist.broadcast_object_list(box, src=0, group=self.group)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        found: list[Any] = [None] * self.size
        with self._exchange():
            self.dist.all_gather_object(found, value, group=self.group)
        return found

    def abort(self, error: BaseException) -> None:
        """Report the error. The process ends, gloo tells the others that it is gone, and the launcher ends them."""
        if self.size > 1:
            report(self.rank, self.size, error, full=False)

    def _place_here(self) -> tuple[int, int]:
        """(local rank, workers of this machine), as the launcher says, or found by the machines' names."""
        told = [os.environ.get(name, "") for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE")]
        if all(map(str.isdigit, told)):
            return int(told[0]), int(told[1])
        import socket

        homes = self.gather(socket.gethostname())
        return homes[: self.rank].count(homes[self.rank]), homes.count(homes[self.rank])


@lru_cache(maxsize=1)
def join() -> TorchGroup:
    """This process's place among those of its job. Raises WorkerError where torch is missing or no job was started."""
    try:
        import torch
        import torch.distributed
    except ImportError as error:
        raise WorkerError(f'workers("torch") needs PyTorch ({error}): pip install "arraynn[torch]"') from None
    if not torch.distributed.is_available():
        raise WorkerError("this PyTorch is built without torch.distributed; install a build that has it")
    if not torch.distributed.is_initialized():
        missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
        if missing:
            raise WorkerError(
                f"no job of torch.distributed has started this process ({', '.join(missing)} are not set): start it "
                f"by torchrun --nproc-per-node 4 …, or by Ray's TorchTrainer"
            )
    try:
        group = TorchGroup(torch)
    except (RuntimeError, ValueError) as error:
        raise WorkerError(f"torch.distributed cannot bring the workers together: {error}") from None
    share_machine(group.local_size)
    return group
