"""Which steps of a GPU's schedule share a launch: a reduction with what is elementwise around it, and steps that do not
wait for each other side by side.

A launch costs the host some microseconds and the GPU two or so, as much as it takes to read megabytes. So a reduction
whose arrays fit a block of threads is computed by a kernel of our own, together with the elementwise steps before and
behind it: a softmax, its loss and its gradient are one launch. Sums that nobody waits for are put off until they can go
with others: the gradients of all biases are one launch, in front of the update.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from . import tuning
from .fusion import Step
from .graph import Node, Operand
from .render import CTYPES

REDUCTIONS = ("sum", "mean", "max", "min", "argmax", "argmin")


@dataclass(frozen=True)
class Split:
    """How the arrays of a reduction are laid out: some axes are reduced, the others kept.

    shape : of the arrays that are reduced. lead : how many axes come first, and are the kept ones (rows), or else the
    reduced ones (not rows).
    """

    shape: tuple[int, ...]
    lead: int
    rows: bool

    @property
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
        ones = (1,) * (len(self.shape) - len(self.kept))
        return shape in (self.kept, (*self.kept, *ones) if self.rows else (*ones, *self.kept))


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
    if x is None or not x.shape or not {x.dtype.name, node.dtype.name} <= CTYPES.keys() or node.dtype.kind not in "fi":
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


class _Grouping:
    """steps : with each reduction that fits, and elementwise steps around it, as one group."""

    def __init__(self, steps: list[Step], finals: set[int]) -> None:
        self.steps, self.finals = list(steps), finals
        self._index()
        place = 0
        while place < len(self.steps):
            step = self.steps[place]
            split = split_of(step.nodes[0]) if not step.fused and _readable(step) else None
            place = place + 1 if split is None else self._contract(split, self._grown(split, place))

    def _index(self) -> None:
        self.makers = {x.serial: i for i, step in enumerate(self.steps) for x in step.outputs}
        self.readers: dict[int, set[int]] = {}
        for i, step in enumerate(self.steps):
            for x in step.reads():
                self.readers.setdefault(x.serial, set()).add(i)

    def _grown(self, split: Split, seed: int) -> set[int]:
        """Places of the steps that go with the reduction: those that make what it reads, read what it makes, or read
        the same, as far as the layout and the order allow."""
        members, tried = {seed}, {seed}
        while near := sorted(self._near(members) - tried):
            for place in near:
                tried.add(place)
                if self._takes(split, members, place) and self._blocked({*members, place}) is not None:
                    members.add(place)
                    tried = set(members)  # what did not fit may do so now
                    break
        return members

    def _near(self, members: Iterable[int]) -> set[int]:
        found: set[int] = set()
        for place in members:
            for x in self.steps[place].reads():
                found |= {self.makers[x.serial]} if x.serial in self.makers else set()
                found |= self.readers[x.serial]
            for x in self.steps[place].outputs:
                found |= self.readers.get(x.serial, set())
        return found

    def _takes(self, split: Split, members: set[int], place: int) -> bool:
        step = self.steps[place]
        if isinstance(step, Group):
            return False
        if not step.fused:
            (node,) = step.nodes
            if node.kind == "view":
                return self.makers.get(node.operands[0].serial) in members and _is_alike(split, node)
            count = sum(not self.steps[member].fused for member in members)
            return split_of(node) == split and _readable(step) and count < tuning.REDUCTIONS
        shape = step.outputs[0].shape  # of all of them
        if shape != split.shape and not split.keeps(shape):
            return False
        made = {x.serial for member in members for x in self.steps[member].nodes}
        inside = made | {x.serial for x in step.nodes}
        return all(_lies(split, node, inside) for node in step.nodes) and _readable(step, made)

    def _blocked(self, members: set[int]) -> set[int] | None:
        """Places among the members' of steps that have to come after them; None where a member waits for one of those.

        What has effects comes after them in any case.
        """
        blocked: set[int] = set()
        for place in range(min(members), max(members) + 1):
            step = self.steps[place]
            needs = {self.makers[x.serial] for x in step.reads() if x.serial in self.makers}
            if place in members:
                if needs & blocked:
                    return None
            elif needs & (members | blocked) or step.nodes[0].kind == "opaque":
                blocked.add(place)
        return blocked

    def _contract(self, split: Split, members: set[int]) -> int:
        """Put the group where its members were. Returns the place behind it."""
        blocked = self._blocked(members)
        assert blocked is not None
        first, end = min(members), max(members) + 1
        inside = [self.steps[place] for place in sorted(members)]
        nodes = {node.serial: node for step in inside for node in step.nodes}
        read = {x.serial for i, step in enumerate(self.steps) if i not in members for x in step.reads()} | self.finals
        made = {x.serial: x for step in inside for x in step.outputs if x.serial in read}
        views: list[Node] = []  # which are taken outside, of what they look at
        while found := [x for x in made.values() if x.kind == "view"]:
            views += found
            for view in found:
                del made[view.serial]
                made[view.operands[0].serial] = view.operands[0]
        ordered = [nodes[serial] for serial in sorted(nodes)]
        group = Group(ordered, True, [made[serial] for serial in sorted(made)], split=split)
        own: list[Step] = [Step([view], outputs=[view]) for view in sorted(views, key=lambda view: view.serial)]
        before = [self.steps[i] for i in range(first, end) if i not in members and i not in blocked]
        after = [self.steps[i] for i in range(first, end) if i in blocked]
        self.steps[first:end] = [*before, group, *own, *after]
        self._index()
        return first  # seeds among what comes before the group are looked at again


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
    known = node.dtype.name in CTYPES
    aside = split.rows and any(x.shape == split.kept for x in node.operands if x.serial in inside)
    return known and (split.keeps(node.shape) or not aside)


def _readable(step: Step, made: Iterable[int] = ()) -> bool:
    """Whether all that it reads lies in memory as its shape says, but for what is made within the group."""
    return all(_in_order(x) for x in step.reads() if not x.host and x.serial not in made)


def _in_order(x: Node) -> bool:
    while x.kind == "view":
        if x.op not in ("reshape", "view_int16") and not (x.op == "getitem" and _is_whole(x)):
            return False
        x = x.operands[0]
    return x.dtype.name in CTYPES


def _is_whole(view: Node) -> bool:
    """Whether an index takes all elements, in their order."""
    known = (None, Ellipsis, 0, slice(None, None, None))
    return view.size == view.operands[0].size and all(part in known for part in view.attributes["index"])


# ---------------------------------------------------------------- steps that do not wait for each other


def _put_off(steps: list[Step]) -> list[Step]:
    """The steps, with each kernel as late as it can be: when something reads what it makes. Where that is a kernel of
    our own, all that wait go with it."""
    done: list[Step] = []
    waiting: list[tuple[Group, list[Step]]] = []  # with views of what they make
    for step in steps:
        read = {x.serial for x in step.reads()}
        needed = [group for group, views in waiting if not read.isdisjoint(_made(group, views))]
        if step.nodes[0].kind == "view" and len(needed) == 1 and not step.fused:
            next(views for group, views in waiting if group is needed[0]).append(step)
            continue
        if needed or step.nodes[0].kind == "opaque":
            _launch(waiting, needed, done, step.nodes[0].kind == "opaque")
        if isinstance(step, Group):
            waiting.append((step, []))
        elif step.fused and _readable(step) and _is_plain(step):
            waiting.append((Group(step.nodes, True, step.outputs), []))
        else:
            done.append(step)
        if sum(x.nbytes for group, _ in waiting for x in group.reads()) > tuning.PUT_OFF:
            _launch(waiting, [], done, True)
    _launch(waiting, [], done, True)
    return done


def _made(group: Group, views: list[Step]) -> set[int]:
    return {x.serial for x in (*group.outputs, *(view.nodes[0] for view in views))}


def _is_plain(step: Step) -> bool:
    """Whether it may stand in a kernel of our own: it has arrays of at least one element."""
    return step.outputs[0].size > 0 and all(x.dtype.name in CTYPES for x in step.nodes)


def _launch(waiting: list[tuple[Group, list[Step]]], needed: list[Group], done: list[Step], every: bool) -> None:
    """Start what is needed, or every group that waits."""
    alone = not every and len(needed) == 1 and needed[0].split is None
    chosen = [pair for pair in waiting if not alone or pair[0] is needed[0]]
    waiting[:] = [pair for pair in waiting if pair not in chosen]
    part: list[Group] = []
    size = 0
    for group, _ in chosen:
        arguments = 1 + len(group.reads()) + len(group.outputs)
        if part and size + arguments > tuning.ARGUMENTS:
            done.append(_together(part))
            part, size = [], 0
        part.append(group)
        size += arguments
    if part:
        done.append(_together(part))
    done += [view for _, views in chosen for view in views]


def _together(groups: list[Group]) -> Step:
    nodes = {node.serial: node for group in groups for node in group.nodes}
    outputs = [x for group in groups for x in group.outputs]
    if len(groups) == 1 and groups[0].split is None:
        return Step(groups[0].nodes, True, outputs)
    return Launch([nodes[serial] for serial in sorted(nodes)], True, outputs, groups=tuple(groups))
