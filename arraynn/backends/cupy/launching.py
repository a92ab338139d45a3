"""What goes to a CUDA graph and comes out of it, in one launch each: the loader's kernel and the writer's.

The loader takes everything as arguments of its launch, which CUDA copies at once: addresses of inputs, numbers, and
where results are to go. No memory of the host is read later, so the host may go on at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ...compiler.render import CTYPES
from .update_kernel import BLOCKS, OPTIONS, THREADS

SLOTS = 128  #: numbers of a step, at most
ARGUMENTS = 500  #: of a launch, at most, as CUDA takes 4 KB of them
WORDS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned", 8: "unsigned long long"}  #: to copy, by bytes


class NotCaptured(Exception):
    """A step cannot be a CUDA graph, for the reason given."""


class Numbers:
    """Numbers of the host's as 0-d arrays that stay where they are: those that kernels take, and, as an update first
    asks for them, those of optimizers' rules.

    own : the first, in the order of dtypes. slots : all of them.
    """

    def __init__(self, xp: Any, dtypes: Sequence[np.dtype], numbers: Sequence[Any]) -> None:
        self.memory = xp.empty((SLOTS,), dtype="int64")
        self.slots: list[Any] = []
        self.rules: list[tuple[int, Any, list[Any]]] = []
        self.dtypes = dtypes
        self.own = tuple([self._slot(dtype, number) for dtype, number in zip(dtypes, numbers, strict=True)])

    def _slot(self, dtype: np.dtype, number: Any) -> Any:
        i = len(self.slots)
        if i == SLOTS:
            raise NotCaptured(f"it takes more than {SLOTS} numbers")
        slot = self.memory[i : i + 1].view(dtype.name)[0, ...]
        slot[...] = number
        self.slots.append(slot)
        return slot

    def of_rule(self, update: int, rule: Any, scalars: Any) -> list[Any]:
        """rule.constants(scalars), on the device. update : which of the step's."""
        for place, known, slots in self.rules:
            if place == update and known is rule:
                return slots
        slots = [self._slot(rule.dtype, number.item()) for number in rule.constants(scalars)]
        self.rules.append((update, rule, slots))
        return slots

    def values(self, numbers: Sequence[Any], scalars: Sequence[Any]) -> list[Any]:
        """What the slots are to hold for these numbers and scalars, each in its dtype."""
        found = [dtype.type(number) for dtype, number in zip(self.dtypes, numbers, strict=True)]
        for update, rule, _ in self.rules:
            found += rule.constants(scalars[update])
        return found


class Loader:
    """Copies inputs to where the graph reads them, sets numbers, and says where results are to go.

    static : by place, where an input is copied to. cells : int64, one for each of the results' addresses.
    """

    def __init__(self, static: dict[int, Any], numbers: Numbers, cells: Any) -> None:
        self.static, self.slots, self.cells = static, numbers.slots, cells
        copies, kinds, count = list(static.values()), [x.dtype for x in self.slots], cells.shape[0]
        if 3 * len(copies) + 2 * len(kinds) + count + 1 > ARGUMENTS:
            raise NotCaptured("its inputs and numbers are too many for one launch")
        self.kernel = _raw("load", load_source(tuple(x.dtype.itemsize for x in copies), tuple(map(str, kinds)), count))
        self.grid = _blocks(copies), len(copies) + 1

    def __call__(self, arrays: Sequence[Any], values: Sequence[Any], results: Sequence[Any]) -> None:
        arguments: list[Any] = []
        for i, target in self.static.items():
            source, size = arrays[i], target.size
            if not source.flags.c_contiguous:
                target[...] = source
                source, size = target, 0
            arguments += [np.int64(size), source, target]
        for value, slot in zip(values, self.slots, strict=True):
            arguments += [value, slot]
        self.kernel(self.grid, (THREADS,), (*arguments, *results, self.cells))


class Writer:
    """Copies results to the addresses that the cells hold when it runs."""

    def __init__(self, results: Sequence[Any], cells: Any) -> None:
        self.cells, self.grid = cells, (_blocks(results), max(1, len(results)))
        if 2 * len(results) + 1 > ARGUMENTS:
            raise NotCaptured("its results are too many for one launch")
        self.kernel = _raw("store", store_source(tuple(x.dtype.itemsize for x in results)))

    def __call__(self, results: Sequence[Any]) -> None:
        arguments: list[Any] = []
        for x in results:
            arguments += [np.int64(x.size), x]
        self.kernel(self.grid, (THREADS,), (*arguments, self.cells))


def _blocks(arrays: Sequence[Any]) -> int:
    most = max((x.size for x in arrays), default=1)
    return max(1, min(BLOCKS, -(-most // THREADS)))


@lru_cache(maxsize=256)
def _raw(name: str, source: str) -> Any:
    import cupy

    return cupy.RawKernel(source, name, options=OPTIONS)


def load_source(sizes: tuple[int, ...], kinds: tuple[str, ...], results: int) -> str:
    """The loader's kernel for inputs of elements of so many bytes, numbers of these dtypes, and so many results.

    blockIdx.y tells which input; the last is for numbers and addresses.
    """
    arguments = [f"long long n{i}, const {WORDS[size]}* s{i}, {WORDS[size]}* d{i}" for i, size in enumerate(sizes)]
    arguments += [f"{CTYPES[kind]} c{i}, {CTYPES[kind]}* q{i}" for i, kind in enumerate(kinds)]
    arguments += [*(f"char* p{i}" for i in range(results)), "char** cells"]
    cases = [_copy(i, f"d{i}[i] = s{i}[i];") for i in range(len(sizes))]
    sets = [f"*q{i} = c{i};" for i in range(len(kinds))] + [f"cells[{i}] = p{i};" for i in range(results)]
    cases.append(f"    case {len(sizes)}: if (first == 0) {{ {' '.join(sets)} }} break;")
    return _source("load", arguments, cases)


def store_source(sizes: tuple[int, ...]) -> str:
    """The writer's kernel for results of elements of so many bytes: blockIdx.y tells which."""
    arguments = [f"long long n{i}, const {WORDS[size]}* s{i}" for i, size in enumerate(sizes)] + ["char* const* cells"]
    cases = [_copy(i, f"(({WORDS[size]}*)cells[{i}])[i] = s{i}[i];") for i, size in enumerate(sizes)]
    return _source("store", arguments, cases)


def _copy(case: int, text: str) -> str:
    return f"    case {case}: for (long long i = first; i < n{case}; i += stride) {text} break;"


def _source(name: str, arguments: list[str], cases: list[str]) -> str:
    lines = [
        f'extern "C" __global__ void {name}({", ".join(arguments)}) {{',
        "  const long long stride = (long long)gridDim.x * blockDim.x;",
        "  const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;",
        "  switch (blockIdx.y) {",
        *cases,
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- functions of which CuPy's copy from the host


def concat_by(xp: Any) -> Callable[..., Any]:
    """`concat` by copies on the device: CuPy's own sends the addresses of more than eight arrays from the host."""

    def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
        if axis is None:
            arrays, axis = [xp.reshape(x, (-1,)) for x in arrays], 0
        lead = arrays[0]
        axis %= lead.ndim
        shape = [*lead.shape]
        shape[axis] = sum(x.shape[axis] for x in arrays)
        made = xp.empty(tuple(shape), dtype=xp.result_type(*arrays))
        start = 0
        for x in arrays:
            stop = start + x.shape[axis]
            made[(*[slice(None)] * axis, slice(start, stop), ...)] = x
            start = stop
        return made

    return concat


def stack_by(xp: Any) -> Callable[..., Any]:
    """`stack` by copies on the device."""

    def stack(arrays: Sequence[Any], /, *, axis: int = 0) -> Any:
        lead = arrays[0]
        axis %= lead.ndim + 1
        made = xp.empty((*lead.shape[:axis], len(arrays), *lead.shape[axis:]), dtype=xp.result_type(*arrays))
        for i, x in enumerate(arrays):
            made[(*[slice(None)] * axis, i, ...)] = x
        return made

    return stack
