"""Reductions of a GPU's schedule as groups, with what is elementwise around them: each is a kernel of our own.

A softmax, its loss and its gradient are one group. So is a sum of rows with what computes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from . import tuning
from .fusion import Step
from .graph import Node
from .splits import DTYPES, Split, split_of


@dataclass
class Group(Step):
    """A step that a kernel of our own computes. split : None where it has no reduction; then all its outputs, and what
    it computes, are of one shape, or broadcast to it."""

    split: Split | None = None


class Entry:
    """A step, with what it reads, and the serials of that and of what it makes."""

    def __init__(self, step: Step) -> None:
        self.step, self.operands = step, step.reads()
        self.reads = frozenset(x.serial for x in self.operands)
        self.makes = frozenset(x.serial for x in step.outputs)

    def readable(self, made: Collection[int] = ()) -> bool:
        """Whether all that it reads lies in memory as its shape says, but for what is made within its group."""
        return all(_in_order(x) for x in self.operands if not x.host and x.serial not in made)


class Grouping:
    """steps : with each reduction that fits, and elementwise steps around it, as one group.

    Only steps nearby are looked at: a recurrence has thousands.
    """

    def __init__(self, steps: list[Step], finals: set[int]) -> None:
        self.entries: list[Entry | None] = [*map(Entry, steps)]  # None where a step has gone into a group
        self.readers = Counter(serial for entry in map(Entry, steps) for serial in entry.reads)
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

    def _all(self, places: Iterable[int]) -> list[Entry]:
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
        group = Entry(Group(ordered, True, [made[serial] for serial in sorted(made)], split=split))
        taken = [Entry(Step([view], outputs=[view])) for view in sorted(views, key=lambda view: view.serial)]
        self.readers.subtract(own)
        self.readers.update(serial for entry in (group, *taken) for serial in entry.reads)
        first, end = min(members), max(members) + 1
        before = self._all(i for i in range(first, end) if i not in members and i not in blocked)
        after = self._all(sorted(blocked))
        window: list[Entry | None] = [*before, group, *taken, *after]
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
