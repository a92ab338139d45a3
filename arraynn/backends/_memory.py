"""Who writes where: the memory of a step that runs as NumPy calls in a row, given to the next as soon as it is free."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import numpy as np

ALIGNMENT = 64  #: bytes, of a cache line
KEPT = 8 << 20  #: bytes that a step keeps from one call to the next, whoever calls; what is larger, within a run


class Idle(list[Any]):
    """A step's memory that nobody works in: as many pieces as it was ever called at the same time."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # lists of which there is one each


_runs: list[None] = []
_large: WeakSet[Idle] = WeakSet()


class run:  # noqa: N801 - used as `with run():`
    """Within it, steps keep their memory from call to call, however large."""

    def __enter__(self) -> None:
        _runs.append(None)

    def __exit__(self, *error: object) -> None:
        _runs.pop()
        if _large and not _runs:
            for idle in list(_large):
                idle.clear()


class Memory:
    """Bytes that a step may write to. until : the place in the step of the last that reads what is there now."""

    def __init__(self, name: str, size: int = 0, until: float = -1) -> None:
        self.name, self.size, self.until = name, size, until


class Scratch:
    """The memory that a step works in, and the views of it that its calls take: planned once, made when first needed.

    lines : the source that makes it. made : names of the views, in the order in which they are returned.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.made: list[str] = []
        self.scope: dict[str, Any] = {"room": room, "array": np.ndarray, "empty": np.empty}
        self.bytes = 0
        self.idle: list[Memory] = []
        self.busy: list[Memory] = []
        self.views: dict[str, str] = {}

    def take(self, shape: tuple[int, ...], dtype: np.dtype, until: float) -> Memory:
        """Memory for such an array, in use until then: the smallest that lies idle, unless it is far too large."""
        size = math.prod(shape) * dtype.itemsize
        fitting = [memory for memory in self.idle if size <= memory.size <= 2 * size + 1024]
        # of equal ones the last, which is still in the cache
        memory = min(reversed(fitting), key=lambda memory: memory.size) if fitting else self.new(size)
        self.idle = [other for other in self.idle if other is not memory]
        memory.until = until
        self.busy.append(memory)
        return memory

    def new(self, size: int) -> Memory:
        memory = Memory(f"b{len(self.lines)}", size)
        self.lines.append(f"{memory.name} = room({size})")
        self.bytes += size
        return memory

    def release(self, place: int) -> None:
        """What nobody reads behind this place lies idle."""
        self.idle += [memory for memory in self.busy if memory.until <= place]
        self.busy = [memory for memory in self.busy if memory.until > place]

    def array(self, memory: Memory, shape: tuple[int, ...], dtype: np.dtype, start: int = 0) -> str:
        """The name of an array in the memory, from the element `start` on."""
        offset = f", {start * dtype.itemsize}" if start else ""
        self.scope[dtype.name] = dtype
        return self.view(f"array({shape}, {dtype.name}, {memory.name}{offset})")

    def number(self, name: str, dtype: np.dtype) -> str:
        """The name of an array without axes, for the number of that name."""
        self.scope[dtype.name] = dtype
        return self.view(f"empty((), {dtype.name})  # {name}")

    def view(self, expression: str) -> str:
        """The name of what the expression makes, once."""
        if expression not in self.views:
            name = self.views[expression] = f"v{len(self.made)}"
            self.lines.append(f"{name} = {expression}")
            self.made.append(name)
        return self.views[expression]

    def ends(self) -> list[str]:
        """The lines with which a step takes its memory, and gives it back."""
        kept = "" if self.bytes <= KEPT else "if runs: "
        take = ["scratch = idle.pop() if idle else make()"] if self.made else []
        give = [f"{kept}idle.append(scratch)"] if self.made else []
        return [*take, *([f"{', '.join(self.made)}, = scratch"] if self.made else []), *give]

    def names(self) -> dict[str, Any]:
        """What those lines need."""
        body = "".join(f"    {line}\n" for line in [*self.lines, f"return ({' '.join(f'{v},' for v in self.made)})"])
        exec(compile(f"def make():\n{body}", "<memory>", "exec"), self.scope)
        make: Callable[[], Any] = self.scope["make"]
        idle = Idle()
        if self.bytes > KEPT:
            _large.add(idle)
        return {"make": make, "idle": idle, "runs": _runs}


def room(size: int) -> Any:
    """Bytes, aligned."""
    block = np.empty(size + ALIGNMENT, "u1")
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size]
