"""A whole compiled step as one CUDA graph: two launches a step, the loader and the graph.

CUDA replays what a stream was asked for, at the addresses of that time. So inputs are copied to arrays that stay where
they are, numbers are read off the device, all memory that a step needs comes from a pool of the graph's own, and
results go where the loader says. Parameters and slots are updated where they lie: a graph is for these addresses, and
others get a graph of their own.

A graph is trusted only after its first step, which must give the bits of the same calls made one by one; and each of
our products must be CuPy's, up to rounding. Whatever fails, the step runs as kernels, and a warning says why.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ...compiler.cuda_codegen import DeviceProgram
from .cublas import Products
from .launching import Loader, NotCaptured, Numbers, Writer, concat_by, stack_by

log = logging.getLogger("arraynn")

AFTER: float = 3  #: calls for the same parameters, from the second one on, until a graph is made; later ones take more
GRAPHS = 4  #: of a program at a time, for as many sets of parameters; the oldest goes
REHEARSALS = 5  #: runs until no more memory is asked for, at most
COPIED = 64 << 20  #: bytes of inputs that are copied, at most: beyond that a step does not wait for launches
MADE = 1 << 30  #: bytes that a step makes, at most: the graph holds them beside CuPy's own pool

_making = threading.Lock()  # of graphs: whoever makes one has the handle of cuBLAS to themselves


class Captured:
    """run(*arguments): a program, as kernels first and then as a CUDA graph.

    update(rule, leaves, scalars, numbers) : runs an optimizer; numbers(rule) gives its numbers on the device.
    reason : why there is no graph, and will be none.
    """

    def __init__(self, program: DeviceProgram, xp: Any, update: Callable[..., Any]) -> None:
        self.program, self.xp, self.update = program, xp, update
        self.lock = threading.Lock()
        self.in_place: tuple[int, ...] | None = None  # places of the arrays that are updated where they lie
        self.calls: dict[tuple[int, ...], int] = {}
        self.graphs: dict[tuple[int, ...], Graph] = {}
        self.made = 0  # graphs; where many models take turns, most of their steps are no first ones
        self.reason = "" if program.donated and program.made <= MADE else "nothing would be gained"

    def run(self, *arguments: Any) -> Any:
        """What the program returns."""
        *operands, rest = self.program.prepare(*arguments)
        results = None
        if not self.reason and self.lock.acquire(blocking=False):  # one thread at a time has the graph
            try:
                results = self._by_graph(*operands)
            finally:
                self.lock.release()
        if results is None:
            results = self.program.device(*operands)
        return self.program.nest(results, rest)

    def _by_graph(self, arrays: Any, numbers: Any, scalars: Any) -> Any:
        """The results, or None where the program is to run as kernels."""
        if self.in_place is None:
            return self._first(arrays, numbers, scalars)
        key = tuple([arrays[i].data.ptr for i in self.in_place])
        graph = self.graphs.get(key)
        if graph is not None:
            return graph(arrays, numbers, scalars)
        self.calls[key] = self.calls.pop(key, 0) + 1
        if len(self.calls) > 2 * GRAPHS:
            del self.calls[next(iter(self.calls))]
        if self.calls[key] < AFTER * (1 + self.made // GRAPHS) or not _making.acquire(blocking=False):
            return None
        try:
            if self.program.opaque:
                raise NotCaptured("it calls code that the compiler does not see")
            graph = Graph(self, arrays, numbers, scalars)
            results = graph.proved(arrays, numbers, scalars)
        except Exception as error:  # whatever the driver, a pool or a library says; the arrays are as they were
            self._without(_reason(error))
            return None
        finally:
            _making.release()
        if graph.failed:
            self._without(graph.failed)
            return results
        self._keep(key, graph, arrays)
        return results

    def _keep(self, key: tuple[int, ...], graph: Graph, arrays: Any) -> None:
        """Keep a graph as long as its parameters, with the memory that it has."""
        del self.calls[key]
        self.made += 1
        for oldest in list(self.graphs)[: len(self.graphs) - GRAPHS + 1]:
            self.graphs.pop(oldest, None)
        graphs = self.graphs
        graphs[key] = graph
        if self.in_place:
            graph.owner = weakref.ref(arrays[self.in_place[0]], lambda gone: graphs.pop(key, None))

    def _first(self, arrays: Any, numbers: Any, scalars: Any) -> Any:
        """The results of the first call, which shows what is updated in place."""
        results = self.program.device(arrays, numbers, scalars)
        lies = set(map(_place, results))
        self.in_place = tuple(i for i in self.program.donated if _place(arrays[i]) in lies)
        if sum(x.nbytes for i, x in enumerate(arrays) if i not in self.in_place) > COPIED:
            self.reason = "nothing would be gained"
        return results

    def _without(self, reason: str) -> None:
        """Run as kernels from now on."""
        self.reason = reason
        self.graphs.clear()
        log.warning("a step runs as kernels, not as a CUDA graph: %s", reason)


class Graph:
    """A captured step for parameters at these addresses. It owns its memory, which goes with it.

    failed : why it must not be launched again, if so. owner : tells when the parameters are gone.
    """

    owner: weakref.ref[Any]

    def __init__(self, captured: Captured, arrays: Any, numbers: Any, scalars: Any) -> None:
        import cupy

        self.cuda, self.xp, self.empty = cupy.cuda, captured.xp, cupy.empty
        assert captured.in_place is not None
        self.in_place = captured.in_place
        self.failed = ""
        device, here = self.cuda.Device(), self.cuda.get_current_stream()
        if here.ptr and here.is_capturing():
            raise NotCaptured("the caller captures a graph of their own")
        stream, self.pool = self.cuda.Stream(non_blocking=True), self.cuda.MemoryPool()
        self.event, self.place = self.cuda.Event(disable_timing=True), (here.ptr, threading.get_ident())
        copied = [i for i in range(len(arrays)) if i not in self.in_place]
        self.trial = {i: self._copy(arrays[i]) for i in self.in_place}  # of the parameters: what is tried on them
        stream.wait_event(here.record())
        try:
            with stream, self.cuda.using_allocator(self.pool.malloc):
                self.static = {i: self._copy(arrays[i]) for i in copied}
                self.numbers = Numbers(self.xp, captured.program.dtypes, numbers)
                self.products = Products(self.xp, device.id, int(device.compute_capability))
                self.device = captured.program.rebound(
                    update=self._update(captured.update),
                    matmul=self.products,
                    concat=concat_by(self.xp),
                    stack=stack_by(self.xp),
                )
                self.products.on(stream)
                kept = self._rehearse(arrays, numbers, scalars)
                self._capture(stream, arrays, scalars)
                del kept
        finally:
            here.wait_event(stream.record())

    def __call__(self, arrays: Any, numbers: Any, scalars: Any) -> list[Any]:
        """The results of a step: two launches on the current stream, behind the step before."""
        here = self.cuda.get_current_stream()
        place = here.ptr, threading.get_ident()  # one address stands for the default streams of all threads
        if place != self.place:
            here.wait_event(self.event)
            self.place = place
        own = self._fresh()
        self.loader(arrays, self.numbers.values(numbers, scalars), own)
        self.graph.launch(here)
        self.event.record(here)
        return self._placed(arrays, own)

    def proved(self, arrays: Any, numbers: Any, scalars: Any) -> list[Any]:
        """The results of the first step, which is also taken call by call, on copies; `failed` says where they differ.

        Reads one number off the device.
        """
        for i, x in self.trial.items():
            x[...] = arrays[i]
        self.products.on(self.cuda.get_current_stream())
        tried = self._with(self.trial, arrays)
        wanted = [x for x, i in zip(self._run(tried, scalars), self.places, strict=True) if i is None]
        try:
            results = self(arrays, numbers, scalars)
            want = self._placed(tried, wanted)
            if not self._same(results, want):
                differences = "; ".join(_differences(results, want))
                raise NotCaptured(f"its first step differs from the same calls made one by one: {differences}")
        except Exception as error:
            self.failed = _reason(error)
            for i, x in self.trial.items():
                arrays[i][...] = x
            results = self._placed(arrays, wanted)
        del self.trial, self.device  # which refers to this graph: its memory should not wait for the garbage collector
        return results

    def _rehearse(self, arrays: Any, numbers: Any, scalars: Any) -> Any:
        """Run on copies until the pool has all the memory that a run asks for, and all kernels are compiled.

        Returns what must be held meanwhile, so that the pool hands out the same memory again.
        """
        tried = self._with(self.trial, arrays)
        with self.products.compared():
            results = self._run(tried, scalars)
        places = {_place(x): i for i, x in self.trial.items()}
        self.places = [places.get(_place(x)) for x in results]
        if {*self.in_place} != {i for i in self.places if i is not None}:
            raise NotCaptured("its results lie elsewhere than in the first call")
        own = [x for x, i in zip(results, self.places, strict=True) if i is None]
        self.cells, self.forms = self.xp.empty((len(own),), dtype="int64"), [(x.shape, x.dtype) for x in own]
        self.writer, self.loader = Writer(own, self.cells), Loader(self.static, self.numbers, self.cells)
        del results, own
        fresh, values = self._fresh(), self.numbers.values(numbers, scalars)
        for _ in range(REHEARSALS):
            before = self.pool.total_bytes()
            self.loader(arrays, values, fresh)
            self._run_and_write(tried, scalars)
            if self.pool.total_bytes() == before:
                return fresh
        raise NotCaptured(f"each of {REHEARSALS} runs asks for more memory")

    def _capture(self, stream: Any, arrays: Any, scalars: Any) -> None:
        """Record a step on the arrays themselves. Nothing is computed."""
        before, slots = self.pool.total_bytes(), len(self.numbers.slots)
        stream.begin_capture()
        try:
            self._run_and_write(self._with({}, arrays), scalars)
        except BaseException:
            with suppress(Exception):  # what is invalid by now cannot be ended well
                stream.end_capture()
            raise
        self.graph = stream.end_capture()
        if (self.pool.total_bytes(), len(self.numbers.slots)) != (before, slots):
            raise NotCaptured("it asked for memory while it was captured")

    def _run(self, arrays: Any, scalars: Any) -> Any:
        return self.device(arrays, self.numbers.own, list(enumerate(scalars)))

    def _run_and_write(self, arrays: Any, scalars: Any) -> None:
        results = self._run(arrays, scalars)
        # held until the writer has them: their memory is the pool's again when they go
        own = [self.xp.ascontiguousarray(x) for x, i in zip(results, self.places, strict=True) if i is None]
        if own:
            self.writer(own)

    def _update(self, update: Callable[..., Any]) -> Callable[..., Any]:
        def run(rule: Any, leaves: Any, scalars: Any) -> Any:
            place, nest = scalars
            return update(rule, leaves, nest, lambda found: self.numbers.of_rule(place, found, nest))

        return run

    def _copy(self, x: Any) -> Any:
        made = self.xp.empty(x.shape, dtype=x.dtype)
        made[...] = x
        return made

    def _fresh(self) -> list[Any]:
        """New arrays for the results that are not updated in place, such as the losses that wait for a fetch."""
        # Not places in a ring: a caller may hold a loss as long as they like, and the pool takes its memory back with
        # the last reference, so nobody has to count. Nor is a ring cheaper: a place in it is a view, which takes CuPy
        # at least as long to make as an array. At most 1,000 steps wait, with 512 bytes of the pool for each number.
        return [self.empty(shape, dtype=dtype) for shape, dtype in self.forms]

    def _with(self, trial: dict[int, Any], arrays: Any) -> list[Any]:
        """The arrays that a run takes: our own inputs, and these parameters, or else the given ones."""
        own = self.static | trial
        return [own.get(i, x) for i, x in enumerate(arrays)]

    def _placed(self, arrays: Any, own: Sequence[Any]) -> list[Any]:
        """The results, of which some are the arrays at their places, and the others are these."""
        left = iter(own)
        return [next(left) if i is None else arrays[i] for i in self.places]

    def _same(self, results: Sequence[Any], want: Sequence[Any]) -> bool:
        import cupy

        same: Any = None
        for a, b in zip(results, want, strict=True):
            equal = self.xp.all((a == b) | ((a != a) & (b != b)))
            same = equal if same is None else same & equal
        return bool(cupy.asnumpy(same))


def _differences(results: Sequence[Any], want: Sequence[Any]) -> list[str]:
    """Which results differ, and by how much of their largest number: all are read off the device."""
    import cupy

    found = []
    for i, (a, b) in enumerate(zip(map(cupy.asnumpy, results), map(cupy.asnumpy, want), strict=True)):
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            with np.errstate(all="ignore"):
                most = np.max(np.abs(a.astype("float64") - b)) / np.max(np.abs(b))
            found.append(f"result {i} of shape {tuple(a.shape)} by {most:.1e}")
    return found


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, NotCaptured) else f"{type(error).__name__}: {error}"


def _place(x: Any) -> Any:
    """Where an array's elements lie, and how."""
    return x.data.ptr, x.shape, x.dtype, x.flags.c_contiguous
