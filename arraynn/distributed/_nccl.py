"""NCCL: sums of CuPy's arrays from GPU to GPU, with one process a GPU. Objects and host arrays go by MPI."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from ..errors import WorkerError
from ._group import Group, said, told_by
from ._report import end_all_when_uncaught

#: seconds between two looks at whether all workers have joined
BETWEEN = 0.02


class NCCLGroup(Group):
    """The processes of an MPI group, each with a GPU of its own.

    control : the group for arrays on the host and for objects. communicator : NCCL's, with the same ranks. cupy : the
    library. Exchanges are queued on CuPy's current stream: after the kernels that make the arrays, and before those
    that read the results. The host waits for neither.
    """

    name = "nccl"

    def __init__(self, control: Group, communicator: Any, cupy: Any) -> None:
        self.control, self.communicator, self.cupy, self.nccl = control, communicator, cupy, cupy.cuda.nccl
        self.rank, self.size = control.rank, control.size
        self.local_rank, self.local_size = control.local_rank, control.local_size
        self.bcast, self.gather, self.swap = control.bcast, control.gather, control.swap  # type: ignore[method-assign]

    def keeps(self, array: Any) -> bool:
        return isinstance(array, self.cupy.ndarray)

    def sum(self, flat: Any) -> Any:
        if not self.keeps(flat):
            return self.control.sum(flat)
        place, stream = _address(flat), self._stream()
        self.communicator.allReduce(place, place, flat.size, self._dtype(flat), self.nccl.NCCL_SUM, stream)
        return flat

    def slices(self, padded: Any) -> Any:
        if not self.keeps(padded):
            return self.control.slices(padded)
        received, dtype, stream = self.cupy.empty_like(padded), self._dtype(padded), self._stream()
        count = padded.size // self.size
        with self._one_call():
            for peer in range(self.size):
                place = peer * count * padded.itemsize
                self.communicator.send(_address(padded) + place, count, dtype, peer, stream)
                self.communicator.recv(_address(received) + place, count, dtype, peer, stream)
        return received

    def joined(self, part: Any) -> Any:
        if not self.keeps(part):
            return self.control.joined(part)
        received = self.cupy.empty(self.size * part.size, part.dtype)
        places = _address(part), _address(received)
        self.communicator.allGather(*places, part.size, self._dtype(part), self._stream())
        return received

    def abort(self, error: BaseException) -> None:
        """End all processes by MPI, whatever their GPUs wait for."""
        self.control.brief = self.brief
        self.control.abort(error)

    def _stream(self) -> int:
        stream: int = self.cupy.cuda.get_current_stream().ptr
        return stream

    def _dtype(self, array: Any) -> int:
        names = {"float32": self.nccl.NCCL_FLOAT32, "float64": self.nccl.NCCL_FLOAT64}
        return int(names[str(array.dtype)])

    @contextmanager
    def _one_call(self) -> Iterator[None]:
        """Sends and receives within are one call of NCCL. Alone, each would wait for its peer."""
        self.nccl.groupStart()
        try:
            yield
        finally:
            self.nccl.groupEnd()


def _address(array: Any) -> int:
    """The address of a contiguous array on its GPU."""
    address: int = array.data.ptr
    return address


@lru_cache(maxsize=1)
def join() -> NCCLGroup:
    """This process's place among those of its MPI job. Makes the process's own GPU CuPy's current one.

    Raises WorkerError on all, with the remedy, where MPI, CuPy, NCCL or a GPU for each is missing.
    """
    from ._mpi import join as join_mpi

    group = made(join_mpi(), _cupy)
    if group.size > 1:
        end_all_when_uncaught(group.rank, group.abort)
    return group


def made(control: Group, load: Callable[[], Any]) -> NCCLGroup:
    """The NCCLGroup of these processes. load() returns CuPy; an error of it is raised on all workers."""
    found: list[Any] = []
    with control.together():
        cupy = load()
        count = cupy.cuda.runtime.getDeviceCount()
        device = cupy.cuda.Device(control.local_rank % max(count, 1))
        found += [cupy, device, cupy.cuda.nccl.get_unique_id() if control.rank == 0 else None]
    cupy, device, unique = found
    homes = control.gather((socket.gethostname(), device.pci_bus_id))
    for rank, home in enumerate(homes):
        if (first := homes.index(home)) != rank:
            shared = WorkerError(
                f"workers {first} and {rank} would share the GPU {home[1]} of {home[0]}, and NCCL takes one process a "
                f"GPU: start {len(set(homes))} workers, or give each a GPU, as by srun --gpus-per-task=1"
            )
            raise told_by(shared, 0)
    unique = control.bcast(unique)

    def communicator() -> Any:
        device.use()  # a thread of its own begins with the first device
        try:
            return cupy.cuda.nccl.NcclCommunicator(control.size, unique, control.rank)
        except Exception as error:
            raise WorkerError(f"NCCL does not join the GPUs ({error}); NCCL_DEBUG=WARN prints its reason") from error

    device.use()
    return NCCLGroup(control, _waited_for(control, communicator), cupy)


def _waited_for(control: Group, make: Callable[[], Any]) -> Any:
    """make(), called on every worker, which returns once all have called it. Where it fails on one, all raise.

    The others would wait for ever, in a call that nothing interrupts. So each worker makes the call in a thread of its
    own, and meanwhile they tell each other whether it has returned or failed.
    """
    made: list[Any] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            made.append(make())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while True:
        thread.join(BETWEEN)
        own, done = (failed[0] if failed else None), bool(made)
        everyone = control.gather((said(own), done))
        control.heard([words for words, _ in everyone], own)
        if all(ready for _, ready in everyone):
            return made[0]


def _cupy() -> Any:
    """CuPy, after a proof that it computes and that it has NCCL."""
    from ..backends.cupy.probe import probe

    status = probe()
    if not status.usable:
        raise WorkerError(f'workers("nccl") needs CuPy and a GPU: {status.reason}. {status.remedy}'.rstrip(". "))
    import cupy
    from cupy.cuda import nccl

    if not nccl.available:
        raise WorkerError(
            'workers("nccl") needs NCCL, which this CuPy does not find: pip install nvidia-nccl-cu12 (cu13 for CUDA 13)'
        )
    return cupy
