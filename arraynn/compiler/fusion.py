"""The schedule of a program: which elementwise nodes run together, in which order, and what is computed again because
it is quicker made than read. `loops` is the policy for a CPU, `kernels` the one for a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from . import tuning
from .graph import Node, TraceError, reachable

DTYPES = frozenset({"float32", "float64", "int16", "int32", "bool"})


@dataclass
class Step:
    """One entry of a schedule: a group of elementwise nodes of one shape that a loop or a kernel computes, in order;
    nodes that threads compute side by side; or one node.

    outputs : those that later steps, or the caller, read.
    """

    nodes: list[Node]
    fused: bool = False
    outputs: list[Node] = field(default_factory=list)
    side_by_side: bool = False

    def reads(self) -> list[Node]:
        """What it takes from outside, each once."""
        if self.nodes[0].op == "store":
            return [self.nodes[0].operands[1]]  # the memory of the other is only written to
        inside = {node.serial for node in self.nodes}
        return list({x.serial: x for node in self.nodes for x in node.operands if x.serial not in inside}.values())


# ---------------------------------------------------------------- for a CPU: in the order of the function


def loops(order: list[Node], finals: set[int], available: bool, stored: Iterable[int] = ()) -> list[Step]:
    """The nodes in order, as steps. available : whether loops can be compiled at all.

    finals : serials of the nodes that the caller gets, which are new arrays, made by calls of the library. stored : of
    those that are stored where parameters lie, when all steps are done.
    """
    groups = _groups(order, finals) if available else {}
    inside = {node.serial for group in groups.values() for node in group}
    steps = []
    for node in order:
        if node.serial in groups:
            steps.append(Step(groups[node.serial], True))
        elif node.serial not in inside:
            steps.append(Step([node]))
    readers: dict[int, list[Step]] = {}
    for step in steps:
        for x in step.reads():
            readers.setdefault(x.serial, []).append(step)
    made: set[int] = set()  # what a loop computes again, another has written
    asked = {*readers, *finals, *stored}
    for step in steps:
        wanted = [x for x in step.nodes if x.serial in asked or not step.fused]
        step.outputs = [x for x in wanted if x.serial not in made]
        made |= {x.serial for x in step.outputs}
        if step.fused and not step.outputs:
            step.outputs = step.nodes[-1:]
    return steps


def _groups(order: list[Node], finals: set[int]) -> dict[int, list[Node]]:
    """Groups by the serial of their last node, where their loop runs."""
    found: list[list[Node]] = [[]]
    for node in order:
        group = found[-1]
        if node.serial not in finals and fits(node):
            if group and node.shape != group[0].shape:
                found.append([])
            found[-1].append(node)
        elif group and not _light(node, {other.serial for other in group}):
            found.append([])
    found = [group for group in found if group]
    if all(group[0].size <= tuning.LOOP_ELEMENTS for group in found):
        return {}
    fewest = {True: 2, False: tuning.LOOP_OPERATIONS}
    pays = [group for group in found if len(group) >= fewest[group[0].size > tuning.LOOP_ELEMENTS]]
    groups = {group[-1].serial: group for group in pays}
    _recompute(order, groups)
    return groups


def fits(node: Node) -> bool:
    """Whether the node may be part of a loop whose bits are NumPy's."""
    row = node.row
    if not node.elementwise or not node.shape or node.dtype.name not in DTYPES:
        return False
    if node.op != "astype" and not (row.numba and row.exact and (node.dtype.kind == "f" or not row.floating)):
        return False
    return all(x.weak or (_spans(x.shape, node.shape) and x.dtype.name in DTYPES) for x in node.operands)


def _spans(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of this shape is broadcast to the whole."""
    ends = zip(reversed(shape), reversed(whole), strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in ends)


def _light(node: Node, group: set[int]) -> bool:
    """Whether a node may be computed before the group around it: it reads nothing of that, and writes to no array."""
    light = node.kind in ("view", "source") or node.host or (node.op == "pack" and node.attributes["donated"])
    return light and not any(x.serial in group for x in node.operands)


def _recompute(order: list[Node], groups: dict[int, list[Node]]) -> None:
    """Let a later loop recompute a node where that reads less memory than storing the node would take: the floats of a
    mask, which are a comparison of smaller numbers."""
    owner = {node.serial: end for end, nodes in groups.items() for node in nodes}
    readers: dict[int, set[int | None]] = {}  # the loops that read a node; None is no loop
    for node in order:
        for x in node.operands:
            readers.setdefault(x.serial, set()).add(owner.get(node.serial))
    for end, nodes in list(groups.items()):
        for node in list(nodes):
            later = [other for other in readers.get(node.serial, ()) if other != end]
            made, read = _made_of(node, {other.serial for other in nodes})
            small = sum(x.nbytes for x in read) * 2 <= node.nbytes
            if not small or any(x.dtype.kind == "f" for x in read):
                continue
            if later and all(other in groups and groups[other][0].shape == node.shape for other in later):
                for other in later:
                    assert other is not None
                    own = {x.serial for x in groups[other]}
                    groups[other] = [*(x for x in made if x.serial not in own), *groups[other]]


def _made_of(node: Node, inside: set[int]) -> tuple[list[Node], Iterable[Node]]:
    """The nodes of a group that a node needs, itself the last of them; and the arrays that these read from outside."""
    made: dict[int, Node] = {}
    read: dict[int, Node] = {}
    stack = [node]
    while stack:
        one = stack.pop()
        made[one.serial] = one
        for x in one.operands:
            if x.serial in inside:
                stack.append(x)
            elif x.shape:
                read[x.serial] = x
    return [made[serial] for serial in sorted(made)], read.values()


# ---------------------------------------------------------------- for a GPU: as few kernels as there can be


def kernels(order: list[Node], finals: set[int]) -> list[Step]:
    """The nodes, as steps: each kernel computes all arrays of one shape that it can, and each node that is no
    elementwise one runs as soon as its operands are there.

    A kernel keeps only what is read outside kernels; another one computes the rest again, which is cheaper than to
    write and read it. Updates, which consume their operands, come last. Opaque nodes keep their order.

    finals : serials of the nodes that the caller gets.
    """
    stored = finals | {x.serial for node in order if not node.elementwise for x in node.operands}
    late = _late(order)
    made = {node.serial for node in order if node.kind == "source" or node.host}
    steps: list[Step] = []
    for part in ([node for node in order if (node.serial in late) is last] for last in (False, True)):
        calls = [node for node in part if not node.elementwise and node.serial not in made]
        wanted = [node for node in part if node.elementwise and node.serial in stored]
        while calls or wanted:
            ready = _ready(calls, made)
            steps += [Step([node], outputs=[node]) for node in ready]
            if not ready:
                able = [node for node in wanted if _able(node, made)]
                if not able:
                    raise TraceError("nothing can be computed next")
                ready = [node for node in able if node.shape == able[0].shape]
                steps.append(Step(_inside(ready, made), True, ready))
            made |= {node.serial for node in ready}
            calls = [node for node in calls if node.serial not in made]
            wanted = [node for node in wanted if node.serial not in made]
    return steps


def _late(order: list[Node]) -> set[int]:
    """Updates, what needs them, and opaque nodes behind them."""
    late: set[int] = set()
    for node in sorted(order, key=lambda node: node.serial):
        opaque = node.kind == "opaque"
        if node.op == "update" or (opaque and late) or any(x.serial in late for x in node.operands):
            late.add(node.serial)
    return late


def _ready(calls: list[Node], made: set[int]) -> list[Node]:
    """The calls whose operands are there; of the opaque ones, the first alone."""
    first = min((node.serial for node in calls if node.kind == "opaque"), default=0)
    there = [node for node in calls if all(x.serial in made for x in node.operands)]
    return [node for node in there if node.kind != "opaque" or node.serial == first]


def _inside(outputs: list[Node], made: set[int]) -> list[Node]:
    """The elementwise nodes that a kernel of these outputs computes."""
    return reachable(outputs, lambda node: [x for x in node.operands if x.elementwise and x.serial not in made])


def _able(node: Node, made: set[int]) -> bool:
    """Whether a kernel could compute the node now: all that it reads is there. The search ends at the first that is
    not, as nearly all nodes of a long recurrence wait."""
    stack, seen = [node], {node.serial}
    while stack:
        for x in stack.pop().operands:
            if x.serial not in made and x.serial not in seen:
                if not x.elementwise:
                    return False
                seen.add(x.serial)
                stack.append(x)
    return True
