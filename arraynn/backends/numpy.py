"""NumPy: the CPU backend, always there, and the one that the others are compared with."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import tree
from .._array import namespace
from ..compiler import memory, numpy_codegen, opaque, program, signature, trace
from ..compiler.rules import rule_of
from ..errors import BackendUnavailable
from . import cores, products, threads
from . import numba as numba_loops
from . import windows as sliding
from .base import Backend, Plan
from .overlap import Disjoint
from .verify import Foreign, plain
from .windows import Windows

#: numbers that the layers of a row block put out together: 1 MB in float32. Smaller blocks stay closer to a core, but
#: the workers then spend their time handing Python's lock to each other; larger ones leave nothing to hand out
BLOCK = 260_000

#: row blocks whose gradients are there together, before they are summed: each has as many numbers as the parameters
TOGETHER = 16

#: bytes allocated and freed, untouched, before a run. The C library gives freed memory back to the system, to be
#: fetched again page by page, unless it has seen blocks as large come and go (mallopt(3), M_MMAP_THRESHOLD); having
#: seen one of almost its limit of 32 MB it keeps twice that, and a step with arrays of a megabyte takes half the time
KEEP = 31 << 20

#: elements of a parameter, up to which it is updated together with others
SMALL = 65536

#: elements of a slice of a larger one: half a megabyte in float32, of each of its arrays and temporaries. Smaller
#: slices stay closer to a core, but the workers hand Python's lock to each other between any two operations
SLICE = 131_072


class NumPy(Backend):
    """NumPy: compiled steps as NumPy calls, Numba loops with the extra `fast`, row blocks and slices on threads."""

    name = "numpy"
    inference_rows = 512
    patch_numbers = 2**19  # 2 MB of float32 stay in the cache between their making and the product

    @classmethod
    def open(cls, device: str | None = None, reason: str = "asked for by name") -> Backend:
        if device not in (None, "cpu"):
            raise BackendUnavailable("numpy", f"it has no device {device!r}, only 'cpu'", "Say 'numpy'")
        return cls(namespace(np.empty(0)), "cpu", version=np.__version__, reason=reason)

    @classmethod
    def of(cls, x: Any) -> Backend:
        return cls.open(reason="the arrays given live there")

    def asarray(self, x: Any, dtype: Any = None, *, copy: bool | None = None) -> Any:
        there = type(x) is np.ndarray and dtype is not None and x.dtype == dtype and x.dtype.isnative
        return x if there and not copy else super().asarray(x, dtype, copy=copy)  # small predictions ask it twice

    def fetch(self, numbers: list[Any]) -> list[float]:
        return [float(n) for n in numbers]

    @contextmanager
    def context(self) -> Iterator[None]:
        # A run that leaves the finite numbers is told by DivergedError; a line from NumPy for each would drown it.
        np.empty(KEEP, "u1")
        cores.requested()  # refuses a wrong number now, not when a step has tasks
        with np.errstate(all="ignore"), threads.limit(), memory.run():
            yield

    def parallel_map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return threads.run(function, items)

    @classmethod
    @contextmanager
    def single_threaded_products(cls) -> Iterator[None]:
        with threads.limit():
            yield

    @classmethod
    def view_int16(cls, words: np.ndarray) -> np.ndarray:
        return words.view("i2") if sys.byteorder == "little" else super().view_int16(words)

    @classmethod
    def pad(cls, x: Any, windows: Windows, value: float = 0.0) -> Any:
        if not windows.padding:
            return x
        padded = np.full((x.shape[0], *windows.padded, x.shape[-1]), value, x.dtype)
        padded[windows.inside] = x
        return padded

    @classmethod
    def patches(cls, x: np.ndarray, windows: Windows) -> np.ndarray:
        """One copy of a strided view. NumPy takes some 10 ns to go from one run of neighbours to the next, so where
        a window's runs are short, as of grey images, the matrix is laid out column by column: a column's runs are as
        long as a row of the image."""
        batch, *axes, channel = x.strides
        windows_at = [stride * step for stride, step in zip(axes, windows.strides, strict=True)]
        elements_at = [stride * step for stride, step in zip(axes, windows.dilation, strict=True)]
        rows, columns = (x.shape[0], *windows.out), (*windows.size, x.shape[-1])
        shape = math.prod(rows), math.prod(columns)
        run = x.shape[-1] * (windows.size[-1] if windows.dilation[-1] == 1 else 1)
        if 2 * run < windows.out[-1]:
            strides = (*elements_at, channel, batch, *windows_at)
            return as_strided(x, (*columns, *rows), strides, writeable=False).reshape(shape[::-1]).T
        strides = batch, *windows_at, *elements_at, channel
        return as_strided(x, (*rows, *columns), strides, writeable=False).reshape(shape)

    @classmethod
    def fold(cls, dp: Any, windows: Windows) -> Any:
        return sliding.fold_in_place(dp, windows)

    @classmethod
    def compile(cls, step: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        """The step as NumPy calls in a row, for each form and shape of its arguments: the same bits, with less of
        Python between them, in memory that is used again. Products have the bits of one thread of BLAS, on any number
        of cores, whether the step is compiled or runs as it is, in a run or by itself."""
        program = compiled(step, donate)

        def run(*arguments: Any) -> Any:
            if threads.within():
                return program(*arguments)
            with threads.limit():
                return program(*arguments)

        return run

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        """As the portable default, with large leaves taken in slices that fit the cache, spread over the cores.

        A leaf is an array to write to, one to read, and a dict of arrays to write to. The bits are the whole's."""

        def run(leaves: Sequence[tuple[Any, ...]], scalars: Any) -> list[Any]:
            large = [i for i, (p, _, _) in enumerate(leaves) if p.size > SMALL and not plain()]
            done = dict(zip(large, _side_by_side((), [(rule, *leaves[i], scalars) for i in large]), strict=True))
            return [done[i] if i in done else rule(*leaf, scalars) for i, leaf in enumerate(leaves)]

        return run

    @classmethod
    def plan(cls, params: Any, batch: Any, batch_coupled: bool) -> Plan:
        """Row blocks where a batch's intermediate arrays outgrow the cache; from shapes alone, never from the cores.

        A block costs a pass over all parameters, to add its gradients, so it is at least twice as large as they are:
        where products dominate, a batch is taken in one pass, and its products in tiles.
        """
        shapes = [leaf.shape for leaf in tree.leaves(tree.trained(params)) if len(leaf.shape) > 1]
        rows, width = batch[1].shape[0], _width(tree.first(batch[0]), shapes)
        size = max(BLOCK, 2 * sum(map(math.prod, shapes)))
        count = round(rows * width / size)
        made = f"{rows} rows of {width} intermediate numbers, at {size:,} a block"
        if plain():
            return Plan((), "one pass: what others are compared with")
        if batch_coupled:
            return Plan((), "one pass: a layer, a loss or a metric couples the rows, or does not say that it does not")
        if count < 2:
            return Plan((), f"one pass: {made}, fill less than one and a half")
        step = -(-rows // count)
        return Plan(tuple(slice(i, min(i + step, rows)) for i in range(0, rows, step)), f"row blocks: {made}")

    @classmethod
    def accumulate(cls, gradient: Callable[..., Any], params: Any, batch: Any, key: Any, total: Any, plan: Plan) -> Any:
        """As the portable default, in the plan's row blocks, on the workers; summed in the order of the rows, so that
        the result has the same bits with any number of workers."""
        if not plan.blocks:
            return gradient(params, batch, key, total)
        if isinstance(batch[1], trace.Tracer):
            return _later(cls, gradient, params, batch, key, total, plan)
        fixed = isinstance(total, (int, float))  # the number of rows, as a rule
        program = _of_rows(gradient, total if fixed else None)
        total = None if fixed else np.asarray(total)

        def of_rows(rows: slice) -> Any:
            return program(params, _rows(batch, rows), None if key is None else key.rows(rows.start), total)

        result: Any = None
        whole: Any = None
        for start in range(0, len(plan.blocks), TOGETHER):
            parts = threads.run(of_rows, plan.blocks[start : start + TOGETHER])
            whole = parts[0]  # statistics of a layer whose rows may be parted stay what they are in each part
            parts = [tree.trained(part) for part in parts]
            if result is None:
                result, parts = tree.map(np.add, *parts[:2]), parts[2:]  # a new nest, which the rest may be added into
            for part in parts:
                result = tree.map(_add, result, part)
        return tree.with_statistics(result, whole)


def _width(x: Any, shapes: Sequence[tuple[int, ...]]) -> int:
    """About how many numbers a row of x becomes on its way through weights of these shapes.

    A kernel (…, C, filters), and a matrix of what is no longer than x's last axis, put out a row of numbers at each of
    x's places; matrices behind a convolution are taken to be used once. Poolings and strides are not seen.
    """
    kernels = [shape for shape in shapes if len(shape) > 2]
    words = x is not None and x.dtype.kind in "iu"
    at_each = bool(shapes) and x is not None and (words or shapes[0][-2] == x.shape[-1])
    places = math.prod(x.shape[1:] if words else x.shape[1:-1]) if at_each else 1
    return sum(shape[-1] * (places if shape in kernels or not kernels else 1) for shape in shapes)


def _rows(batch: Any, rows: slice) -> Any:
    x, targets, weight = batch
    return tree.map(lambda leaf: leaf[rows], x), targets[rows], None if weight is None else weight[rows]


@lru_cache(maxsize=64)
def _of_rows(gradient: Callable[..., Any], fixed: float | None) -> Callable[..., Any]:
    """gradient(params, rows, key, total), compiled. fixed : the total, where it is a number of Python's."""

    def of_rows(params: Any, rows: Any, key: Any, total: Any) -> Any:
        return gradient(params, rows, key, total if fixed is None else fixed)

    return compiled(of_rows)


def _later(engine: type[NumPy], gradient: Any, params: Any, batch: Any, key: Any, total: Any, plan: Plan) -> Any:
    """`accumulate`, while a step is traced: a call, when the arrays are there."""
    like = gradient(params, _rows(batch, plan.blocks[0]), key, total)

    def now(params: Any, batch: Any, key: Any, total: Any) -> Any:
        return engine.accumulate(gradient, params, batch, key, total, plan)

    return opaque.call(now, (params, batch, key, total), like)


def compiled(
    function: Callable[..., Any], donate: tuple[int, ...] = (), small: float = SMALL, apart: bool = True
) -> Callable[..., Any]:
    """function(*nests), as NumPy calls in a row for each form and shape of its arguments; where it cannot be compiled,
    as it is. small : the most elements of a parameter that is updated packed. apart : whether the leaves that it
    consumes are looked at each time, and refused where two of them share memory.
    """
    packs: dict[Any, memory.ParameterPack] = {}
    foreign: list[Foreign] = []  # found when there is something to compile

    def made(arguments: tuple[Any, ...]) -> program.Program | None:
        if not foreign:
            foreign.append(Foreign(function))
        if not foreign[0].compiles(arguments):
            return None
        found = numpy_program(function, arguments, donate, small, packs, apart, twice=bool(foreign[0].names))
        return found and foreign[0].watched(function, found)

    return program.specialized(function, made, dropped=lambda: bool(foreign) and foreign[0].dropped)


def numpy_program(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    donate: tuple[int, ...] = (),
    small: float = 0,
    packs: dict[Any, memory.ParameterPack] | None = None,
    apart: bool = False,
    twice: bool = False,
) -> program.Program | None:
    """The function's program for such arguments; None where there is none. twice : trace it twice, and refuse it where
    the two differ."""
    loop = numba_loops.compiled if numba_loops.available() else None
    known = {} if packs is None else packs
    apart_by = Disjoint if apart else None
    options = numpy_codegen.Options(donate, small, loop, known, apart_by, _side_by_side, products.WHOLE)
    return program.make(
        function,
        lambda graph: signature.Signature(graph, arguments, donate),
        lambda traced: numpy_codegen.lower(traced, options),
        twice,
    )


def _side_by_side(multiplied: Sequence[tuple[Any, Any, Any]], updated: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Products (a, b, out) and updates (rule, p, g, slots, scalars), which are independent of each other, in tiles
    and slices, on all free threads. Returns (p, slots) of each update."""
    results: list[Any] = [(p, slots) for _, p, _, slots, _ in updated]
    tasks = [task for one in multiplied for task in products.tasks(*one)]
    for i, one in enumerate(updated):
        tasks += _slices_of(*one) or [partial(_whole, results, i, *one)]
    threads.together(tasks)
    return results


def _whole(results: list[Any], i: int, rule: Callable[..., Any], *arguments: Any) -> None:
    results[i] = rule(*arguments)


def _slices_of(
    rule: Callable[..., Any], p: np.ndarray, g: np.ndarray, slots: dict[str, np.ndarray], scalars: Any
) -> list[Callable[[], Any]]:
    """The calls that compute rule(p, g, slots, scalars), slice by slice in place; none where an array's memory, or the
    rule, does not allow that."""
    arrays = (p, g, *slots.values())
    if not all(x.flags.c_contiguous and (x.shape, x.dtype) == (p.shape, p.dtype) for x in arrays):
        return []
    written = (p, *slots.values())
    if rule_of(rule, tuple(slots), scalars, p.dtype) is None or not all(x.flags.writeable for x in written):
        return []  # the rule may look at more than one element
    if any(np.may_share_memory(g, x) for x in written):  # it is read while they are written
        g = g.copy()
    flat, gradient, own = p.reshape(-1), g.reshape(-1), {name: slot.reshape(-1) for name, slot in slots.items()}
    loop = (numba_loops.fused(rule, p, g, slots, scalars) if numba_loops.available() else None) or _in_place(rule)

    def one(part: slice) -> None:
        loop(flat[part], gradient[part], {name: slot[part] for name, slot in own.items()}, scalars)

    return [partial(one, part) for part in _slices(p.size)]


@lru_cache(maxsize=64)
def _in_place(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule, with its results written over its arguments."""

    def run(p: Any, g: Any, slots: dict[str, Any], scalars: Any) -> Any:
        if isinstance(p, trace.Tracer):
            return opaque.update(rule, [(p, g, slots)], scalars)[0]
        q, after = rule(p, g, dict(slots), scalars)
        pairs = [(p, q), *((slot, after[name]) for name, slot in slots.items())]
        # the same memory, unless the rule made a new array, or let two change places
        made = [(old, new.copy()) for old, new in pairs if new is not old]
        for old, new in made:
            old[...] = new
        return p, slots

    return compiled(run, donate=(0, 2), small=math.inf, apart=False)  # slices of what was looked at as a whole


def _slices(size: int) -> list[slice]:
    """Of equal length; if there are several, even in number, so that two workers end together."""
    count = 1 if size <= SLICE else 2 * -(-size // (2 * SLICE))
    length = -(-size // count)
    return [slice(i, min(i + length, size)) for i in range(0, size, length)]


def _add(a: Any, b: Any) -> Any:
    a += b
    return a


BACKEND = NumPy
