"""NumPy: the CPU backend, always there, and the one that the others are compared with."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from .. import tree
from ..errors import BackendUnavailable
from . import _memory, _numba, _workers
from ._arguments import Flat, Other, call, signature
from ._base import Backend, Plan
from ._lazy import Lazy, update
from ._operations import TraceError
from ._straight import Straight, traced
from ._verify import Foreign, Verified, plain
from ._verify import signature as graph_signature

#: numbers that the layers of a row block put out together: 1 MB in float32. Smaller blocks stay closer to a core, but
#: the workers then spend their time handing Python's lock to each other; larger ones leave nothing to hand out
BLOCK = 260_000

#: row blocks whose gradients are there together, before they are summed: each has as many numbers as the parameters
TOGETHER = 16

#: bytes allocated and freed, untouched, before a run. The C library gives freed memory back to the system, to be
#: fetched again page by page, unless it has seen blocks as large come and go (mallopt(3), M_MMAP_THRESHOLD); having
#: seen one of almost its limit of 32 MB it keeps twice that, and a step with arrays of a megabyte takes half the time
KEEP = 31 << 20

#: written down of one function, for as many shapes of its arguments; it runs as it is for others
PROGRAMS = 64

#: of those, tried before the form of the arguments is asked for
RECENT = 2

#: elements of a parameter, up to which it is updated together with others
SMALL = 65536

#: elements of a slice of a larger one: half a megabyte in float32, of each of its arrays and temporaries. Smaller
#: slices stay closer to a core, but the workers hand Python's lock to each other between any two operations
SLICE = 131_072


log = logging.getLogger("arraynn")


class NumPy(Backend):
    name = "numpy"
    inference_rows = 512

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        if device not in (None, "cpu"):
            raise BackendUnavailable("numpy", f"it has no device {device!r}, only 'cpu'", "Say 'numpy'")
        return cls(xp, "cpu", version=np.__version__, reason="asked for by name")

    @classmethod
    def of(cls, x: Any) -> Backend:
        return cls(xp, "cpu", version=np.__version__, reason="the arrays given live there")

    def asarray(self, x: Any, dtype: Any = None, *, copy: bool | None = None) -> Any:
        there = type(x) is np.ndarray and dtype is not None and x.dtype == dtype and x.dtype.isnative
        return x if there and not copy else super().asarray(x, dtype, copy=copy)  # small predictions ask it twice

    def fetch(self, numbers: list[Any]) -> list[float]:
        return [float(n) for n in numbers]

    @contextmanager
    def context(self) -> Iterator[None]:
        # A run that leaves the finite numbers is told by DivergedError; a line from NumPy for each would drown it.
        np.empty(KEEP, "u1")
        with np.errstate(all="ignore"), _workers.limit(), _memory.run():
            yield

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return _workers.run(function, items)

    @classmethod
    @contextmanager
    def single_threaded_products(cls) -> Iterator[None]:
        with _workers.limit() as limit:
            limit.take()
            yield

    @classmethod
    def halves(cls, words: np.ndarray) -> np.ndarray:
        return words.view("i2") if sys.byteorder == "little" else super().halves(words)

    @classmethod
    def compile(cls, step: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        """The step as NumPy calls in a row, for each form and shape of its arguments: the same bits, with less of
        Python between them, and in memory that is used again."""
        return compiled(step, donate)

    @classmethod
    def elementwise(cls, rule: Callable[..., Any]) -> Callable[[Sequence[tuple[Any, ...]], Any], list[Any]]:
        """As the portable default, with large leaves taken in slices that fit the cache, spread over the cores.

        A leaf is an array to write to, one to read, and a dict of arrays to write to. The arithmetic is that of the
        whole, so the bits are.
        """

        def run(leaves: Sequence[tuple[Any, ...]], scalars: Any) -> list[Any]:
            return [
                _update(rule, p, g, slots, scalars) if p.size > SMALL and not plain() else rule(p, g, slots, scalars)
                for p, g, slots in leaves
            ]

        return run

    @classmethod
    def plan(cls, params: Any, batch: Any, batch_coupled: bool) -> Plan:
        """Row blocks where a batch's intermediate arrays outgrow the cache; from shapes alone, never from the cores.

        A block costs a pass over all parameters, to add its gradients, so it is at least twice as large as they are:
        where products dominate, one pass with BLAS's own threads is left alone.
        """
        weights = [leaf.shape for leaf in tree.leaves(tree.trained(params)) if len(leaf.shape) == 2]
        rows, width = batch[1].shape[0], sum(shape[1] for shape in weights)
        size = max(BLOCK, 2 * sum(math.prod(shape) for shape in weights))
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
        if isinstance(batch[1], Lazy):
            return _later(cls, gradient, params, batch, key, total, plan)
        fixed = isinstance(total, (int, float))  # the number of rows, as a rule
        written = _of_rows(gradient, total if fixed else None)
        total = None if fixed else np.asarray(total)

        def of_rows(rows: slice) -> Any:
            return written(params, _rows(batch, rows), None if key is None else key.rows(rows.start), total)

        result: Any = None
        for start in range(0, len(plan.blocks), TOGETHER):
            parts = _workers.run(of_rows, plan.blocks[start : start + TOGETHER])
            if result is None:
                result, parts = tree.map(np.add, *parts[:2]), parts[2:]  # a new nest, which the rest may be added into
            for part in parts:
                result = tree.map(_add, result, part)
        return result


def _rows(batch: Any, rows: slice) -> Any:
    x, targets, weight = batch
    return tree.map(lambda leaf: leaf[rows], x), targets[rows], None if weight is None else weight[rows]


@lru_cache(maxsize=64)
def _of_rows(gradient: Callable[..., Any], fixed: float | None) -> Callable[..., Any]:
    """gradient(params, rows, key, total), written down. fixed : the total, where it is a number of Python's."""

    def of_rows(params: Any, rows: Any, key: Any, total: Any) -> Any:
        return gradient(params, rows, key, total if fixed is None else fixed)

    return compiled(of_rows)


def _later(engine: type[NumPy], gradient: Any, params: Any, batch: Any, key: Any, total: Any, plan: Plan) -> Any:
    """`accumulate`, asked of arrays that are written down: a call, when they are there."""
    like = gradient(params, _rows(batch, plan.blocks[0]), key, total)

    def now(params: Any, batch: Any, key: Any, total: Any) -> Any:
        return engine.accumulate(gradient, params, batch, key, total, plan)

    return call(now, (params, batch, key, total), like)


def compiled(
    function: Callable[..., Any], donate: tuple[int, ...] = (), small: float = SMALL, apart: bool = True
) -> Callable[..., Any]:
    """function(*nests), as NumPy calls in a row for each form and shape of its arguments; where it cannot be written
    down, as it is. small, apart : as `Straight` has them."""
    programs: dict[Any, Callable[..., Any]] = {}
    flats: dict[Any, Flat] = {}
    recent: tuple[Callable[..., Any], ...] = ()  # a whole batch and the last of an epoch take turns
    foreign: Foreign | None = None

    def run(*arguments: Any) -> Any:
        nonlocal recent, foreign
        if foreign is not None and foreign.dropped:
            return function(*arguments)
        for program in recent:
            try:
                result = program(*arguments)
            except Other:
                continue
            if program is not recent[0]:
                recent = (program, *(other for other in recent if other is not program))
            return result
        form = signature(arguments)
        if form not in programs:
            known = len(programs) < PROGRAMS
            foreign = Foreign(function) if foreign is None else foreign
            programs[form] = _written(function, arguments, donate, small, flats, apart, foreign) if known else function
        program = programs[form]
        if program is not function:  # which would take any arguments, and not refuse what others are written for
            recent = (program, *(other for other in recent[: RECENT - 1] if other is not program))
        try:
            return program(*arguments)
        except Other:  # before anything was written
            return function(*arguments)

    return run


def _written(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    donate: tuple[int, ...],
    small: float,
    flats: Any,
    apart: bool,
    foreign: Foreign,
) -> Callable[..., Any]:
    try:
        made = Straight(function, arguments, donate, small, _update, flats, apart)
        if not foreign.names:
            return made.run
        _, outputs, order = traced(function, arguments, donate, small)
        if graph_signature(order, outputs) != graph_signature(made.order, made.outputs):
            raise TraceError(f"two traces of {', '.join(foreign.names[:3])} differ")
        return Verified(function, made.run, made.poison, foreign)
    except (
        Exception
    ) as error:  # whatever the function raises of arrays without values; it runs as it is, and raises again
        log.info("this step is not written down for NumPy, and runs as it is: %s: %s", type(error).__name__, error)
        return function


def _update(
    rule: Callable[..., Any],
    p: np.ndarray,
    g: np.ndarray,
    slots: dict[str, np.ndarray],
    scalars: Any,
    threads: bool = True,
) -> Any:
    """rule(p, g, slots, scalars), slice by slice in place; by one call where an array's memory does not allow that.

    threads : whether the workers take part. Behind a product they had better not: BLAS's own threads keep turning on
    the other cores, for milliseconds, and the system then lets all workers share one.
    """
    if not all(x.flags.c_contiguous and (x.shape, x.dtype) == (p.shape, p.dtype) for x in (p, g, *slots.values())):
        return rule(p, g, slots, scalars)
    if not all(x.flags.writeable for x in (p, *slots.values())):
        return rule(p, g, slots, scalars)
    if not _keeps(rule, p, g, slots, scalars):
        return rule(p, g, slots, scalars)
    flat, gradient, own = p.reshape(-1), g.reshape(-1), {name: slot.reshape(-1) for name, slot in slots.items()}
    loop = (_numba.fused(rule, p, g, slots, scalars) if _numba.available() else None) or _in_place(rule)

    def one(part: slice) -> None:
        loop(flat[part], gradient[part], {name: slot[part] for name, slot in own.items()}, scalars)

    if threads:
        _workers.run(one, _slices(p.size), blas=False)
    else:
        for part in _slices(p.size):
            one(part)
    return p, slots


def _keeps(rule: Callable[..., Any], p: np.ndarray, g: np.ndarray, slots: dict[str, np.ndarray], scalars: Any) -> bool:
    """Whether the rule returns arrays of the dtype that it is given, and the same slots: seen on one element, once."""
    known, key = _kept(rule), (p.dtype, tuple(slots))
    if key not in known:
        p, g, *own = (x.reshape(-1)[:1].copy() for x in (p, g, *slots.values()))
        with np.errstate(all="ignore"):
            q, after = rule(p, g, dict(zip(slots, own, strict=True)), scalars)
        alike = (getattr(x, "shape", None) == (1,) and x.dtype == key[0] for x in (q, *after.values()))
        known[key] = after.keys() == slots.keys() and all(alike)
    return known[key]


@lru_cache(maxsize=64)
def _kept(rule: Callable[..., Any]) -> dict[Any, bool]:
    return {}


@lru_cache(maxsize=64)
def _in_place(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule, writing what it returns over what it was given."""

    def run(p: Any, g: Any, slots: dict[str, Any], scalars: Any) -> Any:
        if isinstance(p, Lazy):
            return update(rule, [(p, g, slots)], scalars)[0]
        q, after = rule(p, g, dict(slots), scalars)
        # What the rule made, in the memory of what it was given. A slot may have become another slot, or the parameter.
        pairs = [(slots[name], after[name]) for name in slots] + [(p, q)]
        moved = [(home, new) for home, new in pairs if new is not home]
        given = (p, *slots.values())
        for home, new in [
            (home, new.copy() if any(np.may_share_memory(new, x) for x in given) else new) for home, new in moved
        ]:
            home[...] = new
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
