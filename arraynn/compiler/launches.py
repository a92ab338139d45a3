"""Which steps of a GPU's schedule share a launch: a reduction with what is elementwise around it, and steps that do not
wait for each other side by side.

A launch costs the host some microseconds and the GPU two or so, as much as it takes to read megabytes. So a reduction
whose arrays fit a block of threads is computed by a kernel of our own, together with the elementwise steps before and
behind it: a softmax, its loss and its gradient are one launch. Sums that nobody waits for are put off until they can go
with others: the gradients of all biases are one launch, in front of the update.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import tuning
from .fusion import Step
from .graph import Node, Operand
from .render import CTYPES

REDUCTIONS = ("sum", "mean", "max", "min", "argmax", "argmin")
DTYPES = frozenset(map(np.dtype, CTYPES))


@dataclass(frozen=True)
class Split:
    """How the arrays of a reduction are laid out: some axes are reduced, the others kept.

    shape : of the arrays that are reduced. lead : how many axes come first, and are the kept ones (rows), or else the
    reduced ones (not rows).
    """

    shape: tuple[int, ...]
    lead: int
    rows: bool

    @cached_property
    def kept(self) -> tuple[int, ...]:
        return self.shape[: self.lead] if self.rows else self.shape[self.lead :]

    @property
    def results(self) -> int:
        return math.prod(self.kept)

    @property
    def length(self) -> int:
        """Numbers in each result."""
        return math.prod(self.shape) // max(1, self.results)

    @property
    def lanes(self) -> int:
        """Threads that share a result. It follows from the shape, as the order of a sum does."""
        if not self.rows:
            columns = min(tuning.COLUMNS, 1 << (self.results - 1).bit_length())
            return tuning.THREADS // columns
        return next((n for n in (1, tuning.WARP) if self.length <= n * tuning.WARP), tuning.THREADS)

    @property
    def fits(self) -> bool:
        return self.results > 0 and 1 < self.length <= self.lanes * tuning.LANE

    def keeps(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape has one number for each result: without the reduced axes, or with 1 there."""
        return shape in self._results

    @cached_property
    def _results(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        ones = (1,) * (len(self.shape) - len(self.kept))
        return self.kept, (*self.kept, *ones) if self.rows else (*ones, *self.kept)


@dataclass
class Group(Step):
    """A step that a kernel of our own computes. split : None where it has no reduction; then all its outputs, and what
    it computes, are of one shape, or broadcast to it."""

    split: Split | None = None


@dataclass
class Launch(Step):
    """Groups that do not wait for each other, in one launch."""

    groups: tuple[Group, ...] = ()


def reduced(node: Node) -> Node | None:
    """What a reduction reduces; None for any other node. A product with ones is a sum of rows."""
    if node.op == "matmul":
        ones, x = node.operands
        return x if ones.op == "full" and ones.value == 1 and (ones.ndim, x.ndim) == (1, 2) else None
    if node.op not in REDUCTIONS or node.attributes["args"] != (Operand(0),):
        return None
    return node.operands[0] if node.attributes["options"].keys() <= {"axis", "keepdims", "dtype"} else None


def split_of(node: Node) -> Split | None:
    """The layout of a reduction that a kernel of our own computes; None for any other node."""
    x = reduced(node)
    if x is None or not x.shape or not {x.dtype, node.dtype} <= DTYPES or node.dtype.kind not in "fi":
        return None
    axis = 0 if node.op == "matmul" else node.attributes["options"].get("axis")
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(sorted(axis % x.ndim for axis in axes))
    if axes == tuple(range(len(axes))):
        split = Split(x.shape, len(axes), False)
    elif axes == (x.ndim - 1,):
        split = Split(x.shape, x.ndim - 1, True)
    else:
        return None
    alone = not node.op.startswith("arg") or (split.rows and split.lanes == 1)  # one thread sees the whole row
    return split if alone and split.fits and split.keeps(node.shape) else None


def merged(steps: list[Step], finals: set[int]) -> list[Step]:
    """The steps of `fusion.kernels`, in fewer launches. finals : serials of the nodes that the caller gets."""
    return _put_off(_Grouping(steps, finals).steps)


# ---------------------------------------------------------------- reductions, with what is elementwise around them


class _Entry:
    """A step, with what it reads, and the serials of that and of what it makes."""

    def __init__(self, step: Step) -> None:
        self.step, self.operands = step, step.reads()
        self.reads = frozenset(x.serial for x in self.operands)
        self.makes = frozenset(x.serial for x in step.outputs)

    def readable(self, made: Collection[int] = ()) -> bool:
        """Whether all that it reads lies in memory as its shape says, but for what is made within its group."""
        return all(_in_order(x) for x in self.operands if not x.host and x.serial not in made)


class _Grouping:
    """steps : with each reduction that fits, and elementwise steps around it, as one group.

    Only steps nearby are looked at: a recurrence has thousands.
    """

    def __init__(self, steps: list[Step], finals: set[int]) -> None:
        self.entries: list[_Entry | None] = [*map(_Entry, steps)]  # None where a step has gone into a group
        self.readers = Counter(serial for entry in map(_Entry, steps) for serial in entry.reads)
        self.finals, place = finals, 0
        while place < len(self.entries):
            entry = self.entries[place]
            split = None if entry is None or entry.step.fused or not entry.readable() else split_of(entry.step.nodes[0])
            # what comes before the group is looked at again
            place = place + 1 if split is None else self._contract(split, self._grown(split, place))
        self.steps = [entry.step for entry in self.entries if entry is not None]

    def _grown(self, split: Split, seed: int) -> set[int]:
        """Places of the steps that go with the reduction: those that make what it reads, read what it makes, or reduce
        the same, as far as the layout and the order allow."""
        members, tried = {seed}, {seed}
        while near := [place for place in self._near(members) if place not in tried]:
            for place in near:
                tried.add(place)
                if self._takes(split, members, place) and self._blocked({*members, place}) is not None:
                    members.add(place)
                    tried = set(members)  # what did not fit may do so now
                    break
        return members

    def _all(self, places: Iterable[int]) -> list[_Entry]:
        return [entry for place in places if (entry := self.entries[place]) is not None]

    def _near(self, members: set[int]) -> list[int]:
        inside = self._all(members)
        reads = {serial for entry in inside for serial in entry.reads}
        makes = {serial for entry in inside for serial in entry.makes}
        found = []
        for place in range(max(0, max(members) - tuning.NEAR), min(len(self.entries), min(members) + tuning.NEAR)):
            entry = self.entries[place]
            if entry is not None and not (
                entry.makes.isdisjoint(reads)
                and entry.reads.isdisjoint(makes)
                and (entry.step.fused or entry.reads.isdisjoint(reads))
            ):
                found.append(place)
        return found

    def _takes(self, split: Split, members: set[int], place: int) -> bool:
        inside, (entry,) = self._all(members), self._all([place])
        step = entry.step
        if isinstance(step, Group):
            return False
        if not step.fused:
            (node,) = step.nodes
            if node.kind == "view":
                return any(node.operands[0].serial in other.makes for other in inside) and _is_alike(split, node)
            count = sum(not other.step.fused for other in inside)
            return split_of(node) == split and entry.readable() and count < tuning.REDUCTIONS
        if len(step.nodes) > tuning.OPERATIONS:
            return False
        shape = step.outputs[0].shape  # of all of them
        if shape != split.shape and not split.keeps(shape):
            return False
        made = {x.serial for other in inside for x in other.step.nodes}
        own = made | {x.serial for x in step.nodes}
        return all(_lies(split, node, own) for node in step.nodes) and entry.readable(made)

    def _blocked(self, members: set[int]) -> set[int] | None:
        """Places among the members' of steps that have to come after them; None where a member waits for one of those.

        What has effects comes after them in any case.
        """
        made = {serial for entry in self._all(members) for serial in entry.makes}
        late: set[int] = set()
        blocked: set[int] = set()
        for place in range(min(members), max(members) + 1):
            entry = self.entries[place]
            if entry is None:
                continue
            if place in members:
                if not entry.reads.isdisjoint(late):
                    return None
            elif (
                entry.step.nodes[0].kind == "opaque"
                or not entry.reads.isdisjoint(made)
                or not entry.reads.isdisjoint(late)
            ):
                blocked.add(place)
                late |= entry.makes
        return blocked

    def _contract(self, split: Split, members: set[int]) -> int:
        """Put the group where its members were. Returns the first of their places."""
        blocked, inside = self._blocked(members), self._all(sorted(members))
        assert blocked is not None
        nodes = {node.serial: node for entry in inside for node in entry.step.nodes}
        own = Counter(serial for entry in inside for serial in entry.reads)
        outputs = [x for entry in inside for x in entry.step.outputs]
        made = {x.serial: x for x in outputs if x.serial in self.finals or self.readers[x.serial] > own[x.serial]}
        views: list[Node] = []  # which are taken outside, of what they look at
        while found := [x for x in made.values() if x.kind == "view"]:
            views += found
            for view in found:
                del made[view.serial]
                made[view.operands[0].serial] = view.operands[0]
        ordered = [nodes[serial] for serial in sorted(nodes)]
        group = _Entry(Group(ordered, True, [made[serial] for serial in sorted(made)], split=split))
        taken = [_Entry(Step([view], outputs=[view])) for view in sorted(views, key=lambda view: view.serial)]
        self.readers.subtract(own)
        self.readers.update(serial for entry in (group, *taken) for serial in entry.reads)
        first, end = min(members), max(members) + 1
        before = self._all(i for i in range(first, end) if i not in members and i not in blocked)
        after = self._all(sorted(blocked))
        window: list[_Entry | None] = [*before, group, *taken, *after]
        self.entries[first:end] = [*window, *[None] * (end - first - len(window))]
        return first


def _is_alike(split: Split, view: Node) -> bool:
    """Whether each number of the view is the one of its operand that belongs to the same result."""
    (x,) = view.operands
    if not split.keeps(x.shape):
        return False
    if view.op == "broadcast_to":
        return view.shape == split.shape and (not split.rows or x.ndim == len(split.shape))
    if not split.keeps(view.shape):
        return False
    return view.op == "reshape" or (view.op == "getitem" and _is_whole(view))


def _lies(split: Split, node: Node, inside: set[int]) -> bool:
    """Whether a node can be computed where the group has its operands: for each number of the layout, or each result.

    Results of rows that lack the reduced axis would be taken for numbers of a row.
    """
    known = node.dtype in DTYPES
    aside = split.rows and any(x.shape == split.kept for x in node.operands if x.serial in inside)
    return known and (split.keeps(node.shape) or not aside)


def _in_order(x: Node) -> bool:
    while x.kind == "view":
        if x.op not in ("reshape", "view_int16") and not (x.op == "getitem" and _is_whole(x)):
            return False
        x = x.operands[0]
    return x.dtype in DTYPES


def _is_whole(view: Node) -> bool:
    """Whether an index takes all elements, in their order."""
    known = (None, Ellipsis, 0, slice(None, None, None))
    return view.size == view.operands[0].size and all(part in known for part in view.attributes["index"])


# ---------------------------------------------------------------- steps that do not wait for each other


class _Waiting:
    """A kernel that is put off, with views of what it makes. size : bytes that it keeps."""

    def __init__(self, group: Group) -> None:
        self.group, self.views = group, list[Step]()
        self.size = sum(x.nbytes for x in group.reads())


def _put_off(steps: list[Step]) -> list[Step]:
    """The steps, with each kernel as late as it can be: when something reads what it makes. Where that is a kernel of
    our own, all that wait go with it."""
    done: list[Step] = []
    waiting: dict[_Waiting, None] = {}
    makers: dict[int, _Waiting] = {}
    size = 0
    for entry in map(_Entry, steps):
        step, (node, *_) = entry.step, entry.step.nodes
        needed = list(dict.fromkeys(makers[x] for x in entry.reads if x in makers and makers[x] in waiting))
        if node.kind == "view" and not step.fused and needed:
            needed[0].views.append(step)
            makers[node.serial] = needed[0]
            continue
        if needed or node.kind == "opaque":
            size -= _launch(waiting, needed, done, node.kind == "opaque")
        if not isinstance(step, Group) and not (step.fused and _is_plain(step) and entry.readable()):
            done.append(step)
            continue
        own = _Waiting(step if isinstance(step, Group) else Group(step.nodes, True, step.outputs))
        waiting[own] = None
        makers |= dict.fromkeys(entry.makes, own)
        size += own.size
        if size > tuning.PUT_OFF:
            size -= _launch(waiting, [], done, True)
    _launch(waiting, [], done, True)
    return done


def _is_plain(step: Step) -> bool:
    """Whether it may stand in a kernel of our own: it has arrays of at least one element."""
    return step.outputs[0].size > 0 and all(x.dtype in DTYPES for x in step.nodes)


def _launch(waiting: dict[_Waiting, None], needed: list[_Waiting], done: list[Step], every: bool) -> int:
    """Start what is needed, or every kernel that waits. Returns the bytes that are kept no more."""
    alone = not every and len(needed) == 1 and needed[0].group.split is None
    chosen = needed if alone else list(waiting)
    part: list[Group] = []
    count = 0
    for own in chosen:
        del waiting[own]
        arguments = 1 + len(own.group.reads()) + len(own.group.outputs)
        if part and count + arguments > tuning.ARGUMENTS:
            done.append(_together(part))
            part, count = [], 0
        part.append(own.group)
        count += arguments
    if part:
        done.append(_together(part))
    done += [view for own in chosen for view in own.views]
    return sum(own.size for own in chosen)


def _together(groups: list[Group]) -> Step:
    nodes = {node.serial: node for group in groups for node in group.nodes}
    outputs = [x for group in groups for x in group.outputs]
    if len(groups) == 1 and groups[0].split is None:
        return Step(groups[0].nodes, True, outputs)
    return Launch([nodes[serial] for serial in sorted(nodes)], True, outputs, groups=tuple(groups))
