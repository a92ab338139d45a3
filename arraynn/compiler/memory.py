"""Memory planning: last uses, buffers that are reused as soon as they are free, and the arena that holds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import accumulate, pairwise
from operator import is_
from typing import Any
from weakref import WeakSet

import numpy as np

from . import tuning
from .fusion import Step
from .graph import Node
from .signature import GuardFailed

FOREVER = 1 << 60


class Buffer:
    """Bytes that a program may write to. until : the last step that reads what is there now.

    uses : (first step, last step, node) of each array that it holds in turn.
    """

    def __init__(self, name: str, size: int, until: int = -1) -> None:
        self.name, self.size, self.until = name, size, until
        self.uses: list[tuple[int, int, Node | None]] = []

    def hold(self, node: Node | None, start: int, until: int) -> None:
        self.until = until
        self.uses.append((start, until, node))


class Pool:
    """Buffers of one size. Those that are read no longer lie on a stack, the last read on top."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self._busy: list[tuple[int, int]] = []  # a heap of (last step that reads it, place in buffers)
        self._free: list[int] = []

    def add(self, buffer: Buffer) -> None:
        heappush(self._busy, (buffer.until, len(self.buffers)))
        self.buffers.append(buffer)

    def take(self, i: int) -> Buffer | None:
        """The buffer that was read last before step i, which is still in the cache; None where all are in use."""
        while self._busy and self._busy[0][0] < i:
            until, place = heappop(self._busy)
            if self.buffers[place].until > until:  # it holds another array since then
                heappush(self._busy, (self.buffers[place].until, place))
            else:
                self._free.append(place)
        if not self._free:
            return None
        place = self._free.pop()
        heappush(self._busy, (i, place))
        return self.buffers[place]


class Place:
    """Where a node's array lies: in a buffer, from element `start` on."""

    def __init__(self, buffer: Buffer, start: int = 0) -> None:
        self.buffer, self.start = buffer, start


class MemoryPlan:
    """places : by serial, of the nodes that are written to the program's own memory, or to what was given away to it.
    The others are arguments, new arrays of the caller's, numbers, and views.

    finals : serials of what the caller gets. over(node) : operands that an operation may write its result over.
    """

    def __init__(self, steps: Sequence[Step], finals: set[int], over: Callable[[Step, Node], Iterable[Node]]) -> None:
        self.steps, self.finals, self.over = steps, finals, over
        self.aliases: dict[int, Node] = {}  # by serial, whose memory a packed input lies in
        for step in steps:
            for node in step.nodes:
                if node.op == "pack" and node.attributes["donated"]:
                    self.aliases |= {x.serial: node for x in node.operands}
        self.until = self._last_uses()
        self.places: dict[int, Place] = {}
        self.buffers: list[Buffer] = []
        self.pool: dict[int, Pool] = {}  # by size, buffers that hold one array after another
        self._preassigned: dict[int, Place] = {}
        self._preassign()
        for i, step in enumerate(steps):
            for node in step.outputs:
                if self._written(node):
                    self.places[node.serial] = self._place(i, step, node)

    def base(self, node: Node) -> Node:
        """The node whose memory it lies in: itself, unless it is a view."""
        while node.kind == "view" or node.serial in self.aliases:
            node = self.aliases[node.serial] if node.serial in self.aliases else node.operands[0]
        return node

    def _last_uses(self) -> dict[int, int]:
        """By serial of a base: the last step that reads it, itself or through a view."""
        until: dict[int, int] = {}
        for i, step in enumerate(self.steps):
            for node in step.nodes:
                until.setdefault(self.base(node).serial, i)
            for x in step.reads():
                until[self.base(x).serial] = i
        for step in self.steps:
            for node in step.nodes:
                if node.serial in self.finals:
                    until[self.base(node).serial] = FOREVER
        return until

    def last_use(self, node: Node) -> int:
        """The last step that reads the node's memory."""
        return self.until[self.base(node).serial]

    def _written(self, node: Node) -> bool:
        """Whether the node's array is written to memory that the program chooses."""
        computed = node.elementwise or node.kind in ("reduction", "product")
        return (computed and node.serial not in self.finals) or (node.op == "pack" and not node.attributes["donated"])

    def _preassign(self) -> None:
        """What an update computes goes where its parameters lie; gradients side by side, where they are read no longer
        than together."""
        at = {node.serial: i for i, step in enumerate(self.steps) for node in step.nodes}
        for i, step in enumerate(self.steps):
            node = step.nodes[0]
            if node.op == "store":
                pack, new = node.operands
                self._preassigned.setdefault(new.serial, self._given(pack))
            elif node.op == "pack" and not node.attributes["donated"]:
                buffer = Buffer(f"b{len(self.buffers)}", node.nbytes)
                self.buffers.append(buffer)
                buffer.hold(node, i, self.last_use(node))
                self._preassigned[node.serial] = Place(buffer)
                start = 0
                for x in node.operands:
                    alone = x.serial not in self._preassigned and x.serial in at and at[x.serial] < i
                    if alone and self._written(x) and x.op != "pack" and self.last_use(x) == i:
                        self._preassigned[x.serial] = Place(Buffer(buffer.name, x.nbytes), start)
                    start += x.size

    def _given(self, pack: Node) -> Place:
        """The memory of packed parameters."""
        if pack.serial not in self.places:
            buffer = Buffer(f"f{pack.serial}", pack.nbytes, self.last_use(pack))
            self.places[pack.serial] = Place(buffer)
        return self.places[pack.serial]

    def preassigned(self, node: Node) -> Place | None:
        """Where the node's array should lie."""
        return self._preassigned.get(node.serial)

    def _place(self, i: int, step: Step, node: Node) -> Place:
        """Where the node's array goes: where it should lie, over an operand, or to a buffer that is free."""
        until = self.last_use(node)
        place = self._preassigned.get(node.serial)
        if node.op == "pack":
            assert place is not None
            return place
        over = list(self.over(step, node))
        if place is not None and place.buffer.until <= i and self._may(step, place.buffer, over):
            place.buffer.hold(node, i, until)
            return place
        for x in over:
            found = self.places.get(x.serial)
            same = (x.shape, x.dtype) == (node.shape, node.dtype) and x.kind != "view"
            if found is not None and same and found.buffer.until <= i:
                found.buffer.hold(node, i, until)
                return Place(found.buffer, found.start)
        buffer = self.allocate(node.nbytes, i)
        buffer.hold(node, i, until)
        return Place(buffer)

    def _may(self, step: Step, buffer: Buffer, over: list[Node]) -> bool:
        """Whether a step may write to the buffer: all that it reads there, it may write over."""
        there = [x for x in step.reads() if self._lies_in(x, buffer)]
        return all(any(x is y for y in over) and x.kind != "view" and x.serial not in self.aliases for x in there)

    def _lies_in(self, x: Node, buffer: Buffer) -> bool:
        found = self.places.get(self.base(x).serial)
        return found is not None and found.buffer is buffer

    def allocate(self, size: int, i: int) -> Buffer:
        """A buffer that is free from step i on: the smallest, unless it is far too large, else a new one."""
        for own in self._fitting(size):
            buffer = self.pool[own].take(i)
            if buffer is not None:
                return buffer
        return self._new(size)

    def _fitting(self, size: int) -> list[int]:
        """The sizes of buffers that may hold so many bytes, the smallest first."""
        return sorted(own for own in self.pool if size <= own <= 2 * size + 1024)

    def _new(self, size: int) -> Buffer:
        buffer = Buffer(f"b{len(self.buffers)}", size)
        self.buffers.append(buffer)
        self.pool.setdefault(size, Pool()).add(buffer)
        return buffer

    def temporary(self, size: int, i: int) -> Buffer:
        """A buffer for step i alone, beside all that lies anywhere then."""

        def free(buffer: Buffer) -> bool:
            return all(until < i or start > i for start, until, _ in buffer.uses)

        found = (b for own in self._fitting(size) for b in self.pool[own].buffers if free(b))
        buffer = next(found, None) or self._new(size)
        buffer.uses.append((i, i, None))
        return buffer

    def __str__(self) -> str:
        """A line a buffer: its size, and what it holds from which step to which."""
        lines = []
        for buffer in self.buffers:
            held = ", ".join(
                f"{'temporary' if node is None else f'%{node.serial}'} [{a}, {'end' if b == FOREVER else b}]"
                for a, b, node in sorted(buffer.uses, key=lambda use: use[:2])
            )
            lines.append(f"{buffer.name}: {buffer.size:,} bytes: {held}")
        return "\n".join([*lines, f"{sum(b.size for b in self.buffers):,} bytes in all"])


# ---------------------------------------------------------------- at run time


class FreeList(list[Any]):
    """A program's arenas that are not in use. There are as many arenas as calls ever ran at the same time."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # lists of which there is one each


runs: list[None] = []  #: one for each run that is on
_large: WeakSet[FreeList] = WeakSet()


class run:  # noqa: N801 - used as `with run():`
    """Within it, programs keep their arenas from call to call, however large."""

    def __enter__(self) -> None:
        runs.append(None)

    def __exit__(self, *error: object) -> None:
        runs.pop()
        if _large and not runs:
            for free in list(_large):
                free.clear()


def free_list(size: int) -> FreeList:
    """An empty one, for arenas of so many bytes."""
    made = FreeList()
    if size > tuning.KEPT:
        _large.add(made)
    return made


def aligned(size: int) -> Any:
    """So many bytes, from the beginning of a cache line on."""
    block = np.empty(size + tuning.ALIGNMENT, "u1")
    start = -block.ctypes.data % tuning.ALIGNMENT
    return block[start : start + size]


class ParameterPack:
    """Lays arrays end to end, in as many flat arrays as there are kinds of them: parameters, and each slot.

    shapes : of the arrays of a kind. Called with the arrays, kind after kind; returns them, and the flat arrays that
    they are views of. The arrays of a run are laid out once: what is returned is known when it comes again, whichever
    program it comes from. One array alone, contiguous, is flat as it is. GuardFailed for arrays of other shapes.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], dtype: np.dtype) -> None:
        self.shapes, self.dtype, self.count = shapes, dtype, len(shapes)
        self.spans = [*pairwise(accumulate(map(math.prod, shapes), initial=0))]
        self.known: dict[int, tuple[tuple[Any, ...], tuple[Any, ...]]] = {}
        self.apart: Callable[[Sequence[Any]], None] | None = None  # looks at arrays that are not known

    def __call__(self, arrays: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        found = self.known.get(id(arrays[0]))
        if found is not None and all(map(is_, arrays, found[0])):
            return found
        for i, x in enumerate(arrays):
            if type(x) is not np.ndarray or x.shape != self.shapes[i % self.count] or x.dtype != self.dtype:
                raise GuardFailed
        if self.apart is not None:
            self.apart(arrays)
        if self.count == 1 and all(x.flags.c_contiguous and x.flags.writeable for x in arrays):
            return arrays, tuple(x if x.ndim == 1 else x.reshape(-1) for x in arrays)
        views: list[Any] = []
        flats: list[Any] = []
        for start in range(0, len(arrays), self.count):
            part = arrays[start : start + self.count]
            flat = np.concatenate([x.reshape(-1) for x in part])
            views += [flat[a:b].reshape(shape) for (a, b), shape in zip(self.spans, self.shapes, strict=True)]
            flats.append(flat)
        made = tuple(views), tuple(flats)
        # in one assignment: threads may share a program
        self.known = dict([*self.known.items()][1 - tuning.PACKS :]) | {id(views[0]): made}
        return made
