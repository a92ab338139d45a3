"""What may be computed side by side: large products, and updates of large parameters, that do not wait for each other.

A layer's dW and dX both follow from its dy, and the update of the layer above needs nothing of either. So all three are
in one step of the schedule, whose tasks threads share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .fusion import Step
from .graph import Node
from .ops import CONSTANT
from .passes import leaves_of


def grouped(steps: list[Step], heavy: Callable[[Node], bool]) -> list[Step]:
    """The steps, with heavy ones brought forward to the first heavy one that they need not wait for, as one step.

    heavy(node) : whether a node is worth a thread: a product, or an update. Nothing else changes its order, but for
    views, which go where they are first needed. An update stays behind all that reads the memory which it writes to,
    and behind the code that the compiler does not see: where that fails, nothing is half updated.
    """
    return _Schedule(steps, heavy).found


class _Schedule:
    def __init__(self, steps: list[Step], heavy: Callable[[Node], bool]) -> None:
        self.steps, self.left = steps, dict(enumerate(steps))
        self.made = {x.serial: i for i, step in reversed(self.left.items()) for x in step.nodes if _output(step, x)}
        self.readers: dict[int, list[int]] = {}  # by serial of what lies in memory of its own
        for i, step in self.left.items():
            for x in step.reads():
                self.readers.setdefault(_base(x).serial, []).append(i)
        self.heavy = [i for i, step in self.left.items() if not step.fused and heavy(step.nodes[0])]
        self.calls = [i for i, step in self.left.items() if step.nodes[0].op == "call"]
        self.found: list[Step] = []
        for i in range(len(steps)):
            if i in self.left:
                self._emit(i)

    def _emit(self, i: int) -> None:
        if i not in self.heavy:
            self.found.append(self.left.pop(i))
            return
        group = [i]
        for other in self.heavy:
            waits = self._waits(other) if other in self.left and other != i else None
            if waits is not None and not any(one in self.left for one in self._before(other)):
                for light in waits:
                    self.found.append(self.left.pop(light))
                group.append(other)
        members = [self.left.pop(one) for one in group]
        nodes = [node for step in members for node in step.nodes]
        self.found.append(Step(nodes, outputs=[node for step in members for node in step.outputs], side_by_side=True))

    def _waits(self, i: int) -> list[int] | None:
        """The views and numbers that a step still waits for, in order; None where it waits for anything else."""
        waits: set[int] = set()
        stack = list(self.left[i].reads())
        while stack:
            x = stack.pop()
            at = self.made.get(x.serial)
            if at is None or at not in self.left or at in waits:
                continue
            if not _light(self.left[at]):
                return None
            waits.add(at)
            stack += self.left[at].reads()
        return sorted(waits)

    def _before(self, i: int) -> Iterable[int]:
        """The steps that a heavy one stays behind, whatever it reads: opaque calls, and of an update all that reads the
        memory which it writes to. A view reads nothing until somebody reads it."""
        node = self.left[i].nodes[0]
        yield from (one for one in self.calls if one < i)
        if node.op == "update":
            for x in (x for leaf in leaves_of(node) for x in leaf.written):
                yield from (one for one in self.readers[_base(x).serial] if one < i and not _light(self.steps[one]))


def _output(step: Step, node: Node) -> bool:
    return not step.fused or any(node is x for x in step.outputs)


def _light(step: Step) -> bool:
    node = step.nodes[0]
    given = node.op == "pack" and bool(node.attributes["donated"])
    return not step.fused and (node.kind in ("view", "source") or node.op in CONSTANT or node.host or given)


def _base(node: Node) -> Node:
    while node.kind == "view":
        node = node.operands[0]
    return node
