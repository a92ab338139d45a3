"""Streams, memory pools and CUDA graphs as CuPy has them, on the host, for the recording stand-in.

While a stream captures, nothing is computed: what is asked for is kept and done at each launch of the graph, at the
addresses of that time. A wrong address, or memory that was given back, shows in the numbers: memory that goes back to a
pool is filled with nan, and the pool hands it out again. What CUDA or CuPy refuses within a capture is refused here.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

_here = threading.local()


class Memory:
    """Some bytes of a pool, which takes them back with this object."""

    def __init__(self, buffer: np.ndarray) -> None:
        self.buffer = buffer


class MemoryPool:
    """Blocks of 512 bytes; those that came back are handed out first."""

    def __init__(self) -> None:
        self.idle: dict[int, list[np.ndarray]] = {}
        self.total = 0

    def malloc(self, size: int) -> Memory:
        size = -(-size // 512) * 512
        if not self.idle.get(size):
            if current().work is not None and not self.total:
                raise RuntimeError("memory is asked of a pool without any while a stream captures")
            self.total += size
            self.idle.setdefault(size, []).append(np.full(size, 0xFF, "uint8"))
        memory, own = Memory(self.idle[size].pop()), weakref.ref(self)
        weakref.finalize(memory, take_back, own, memory.buffer).atexit = False
        if current().work is not None:
            current().pools.append(own)
        return memory

    def total_bytes(self) -> int:
        return self.total


def take_back(pool: weakref.ref[MemoryPool], buffer: np.ndarray) -> None:
    """Memory goes back to its pool, if that is still there, with nan in it."""
    buffer[...] = 0xFF
    alive = pool()
    if alive is not None:
        alive.idle[buffer.size].append(buffer)


@contextmanager
def using_allocator(allocator: Callable[[int], Memory] | None) -> Iterator[None]:
    before = getattr(_here, "allocator", None)
    _here.allocator = allocator
    try:
        yield
    finally:
        _here.allocator = before


class Event:
    """A place in a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.stream: Stream | None = None

    def record(self, stream: Stream | None = None) -> None:
        self.stream = stream or current()


class Stream:
    """A stream. work : what it was asked for since a capture began, else None. waited : of other streams, by name."""

    null: ClassVar[Stream]
    _count = itertools.count(0x1000, 16)

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self.ptr, self.non_blocking = 0 if null else next(self._count), non_blocking
        self.work: list[Callable[[], Any]] | None = None
        self.pools: list[weakref.ref[MemoryPool]] = []  # that memory came from in the meantime
        self.waited: list[int] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __enter__(self) -> Stream:
        _stack().append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        _stack().pop()

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        if event.stream is not None:
            self.waited.append(event.stream.ptr)

    def begin_capture(self, mode: int | None = None) -> None:
        if not self.non_blocking:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self.work = []

    def is_capturing(self) -> bool:
        return self.work is not None

    def end_capture(self) -> Graph:
        assert self.work is not None, "CUDA_ERROR_ILLEGAL_STATE"
        work, self.work = self.work, None
        pools, self.pools = self.pools, []
        return Graph(work, pools)


Stream.null = Stream(null=True)


class Graph:
    """What a stream was asked for. launched : gets the stream of each launch."""

    launched: ClassVar[Callable[[Stream], None]] = staticmethod(lambda stream: None)

    def __init__(self, work: list[Callable[[], Any]], pools: list[weakref.ref[MemoryPool]]) -> None:
        self.work, self.pools = work, pools

    def launch(self, stream: Stream | None = None) -> None:
        Graph.launched(stream or current())
        assert all(pool() is not None for pool in self.pools), "the memory of the graph's addresses was freed"
        with np.errstate(all="ignore"):
            for work in self.work:
                work()


def _stack() -> list[Stream]:
    if not hasattr(_here, "streams"):
        _here.streams = [Stream.null]
    streams: list[Stream] = _here.streams
    return streams


def current() -> Stream:
    """The current stream of this thread."""
    return _stack()[-1]


def capturing() -> bool:
    return current().work is not None


def do(work: Callable[[], Any]) -> None:
    """Do this, or keep it for the graph."""
    kept = current().work
    if kept is None:
        work()
    else:
        kept.append(work)


def allocated(shape: tuple[int, ...], dtype: Any) -> tuple[np.ndarray, Memory]:
    """An array in memory of the current allocator, with nan in it."""
    memory = _here.allocator(max(1, int(np.prod(shape, dtype="int64")) * np.dtype(dtype).itemsize))
    return np.ndarray(shape, dtype, memory.buffer), memory


def placed(results: list[Any], compute: Callable[[], list[Any]]) -> list[tuple[Any, Memory | None]]:
    """What a function returned, in memory of the current allocator; compute() gives it anew, with a graph's launch."""
    if getattr(_here, "allocator", None) is None:
        if capturing():
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: memory is asked for outside of the graph's pool")
        return [(x, None) for x in results]
    found = [allocated(np.shape(x), np.asarray(x).dtype) for x in results]
    targets = [target for target, _ in found]  # a graph has addresses, and keeps no memory

    def fill() -> None:
        for target, x in zip(targets, compute(), strict=True):
            target[...] = x

    if capturing():
        do(fill)
    else:
        for target, x in zip(targets, results, strict=True):
            target[...] = x
    return list(found)


class Cublas:
    """The functions of cuBLAS that are called by ctypes, on the host. streams : of handles; workspaces : likewise."""

    def __init__(self) -> None:
        self.streams: dict[int, int] = {}
        self.workspaces: dict[int, int] = {}
        self.calls: list[str] = []

    def cublasCreate_v2(self, handle: Any) -> int:  # noqa: N802 - its name there
        assert not capturing()
        handle._obj.value = 0xB1A5
        return 0

    def cublasSetMathMode(self, handle: Any, mode: int) -> int:  # noqa: N802
        assert mode == 0
        return 0

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:  # noqa: N802
        self.streams[handle.value], self.workspaces[handle.value] = stream.value or 0, 0
        return 0

    def cublasSetWorkspace_v2(self, handle: Any, memory: Any, size: Any) -> int:  # noqa: N802
        assert size.value >= 1 << 20
        self.workspaces[handle.value] = memory.value
        return 0

    def cublasGemmEx(  # noqa: N802
        self, handle: Any, transb: int, transa: int, m: int, n: int, k: int, one: Any, b: Any, kind: int, ldb: int,
        a: Any, _a: int, lda: int, zero: Any, c: Any, _c: int, ldc: int, compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        assert (one._obj.value, zero._obj.value, _a, _c) == (1, 0, kind, kind)
        assert compute == (70 if kind else 68)
        left = matrix(a, kind, (k, n) if transa else (n, k), lda)
        right = matrix(b, kind, (m, k) if transb else (k, m), ldb)
        out = matrix(c, kind, (n, m), ldc)
        self._start(handle, out, left.T if transa else left, right.T if transb else right)
        return 0

    def cublasGemmStridedBatchedEx(  # noqa: N802
        self, handle: Any, transb: int, transa: int, m: int, n: int, k: int, one: Any, b: Any, kind: int, ldb: int,
        strideb: Any, a: Any, _a: int, lda: int, stridea: Any, zero: Any, c: Any, _c: int, ldc: int, stridec: Any,
        count: int, compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        assert (transa, transb, one._obj.value, zero._obj.value) == (0, 0, 1, 0)
        left, right = (
            matrix(a, kind, (n, k), lda, count, stridea.value),
            matrix(b, kind, (k, m), ldb, count, strideb.value),
        )
        self._start(handle, matrix(c, kind, (n, m), ldc, count, stridec.value), left, right)
        return 0

    def _start(self, handle: Any, out: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
        assert self.streams[handle.value] == current().ptr, "a product on another stream"
        assert self.workspaces[handle.value], "no workspace, so cuBLAS would ask for memory"
        self.calls.append("captured" if capturing() else "run")

        def work() -> None:
            out[...] = a @ b

        do(work)


def matrix(pointer: Any, kind: int, shape: tuple[int, int], ld: int, count: int = 0, stride: int = 0) -> np.ndarray:
    """The rows that lie at an address, from one to the next ld numbers."""
    number = ctypes.c_double if kind else ctypes.c_float
    size, (rows, columns) = ctypes.sizeof(number), shape
    assert ld >= columns
    flat = np.ctypeslib.as_array(
        ctypes.cast(pointer, ctypes.POINTER(number)), ((rows - 1) * ld + columns + count * stride,)
    )
    if count:
        return np.lib.stride_tricks.as_strided(flat, (count, rows, columns), (stride * size, ld * size, size))
    return np.lib.stride_tricks.as_strided(flat, shape, (ld * size, size))
