"""Which steps of a GPU's schedule share a launch: groups, and steps that do not wait for each other.

A launch costs the host some microseconds and the GPU two or so, as much as it takes to read megabytes. So a reduction
goes with what is elementwise around it (`grouping`), and what nobody waits for is put off until it can go with others:
the gradients of all biases are one launch, in front of the update.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import tuning
from .fusion import Step
from .grouping import Entry, Group, Grouping
from .splits import DTYPES


@dataclass
class Launch(Step):
    """Groups that do not wait for each other, in one launch."""

    groups: tuple[Group, ...] = ()


def merged(steps: list[Step], finals: set[int]) -> list[Step]:
    """The steps of `fusion.kernels`, in fewer launches. finals : serials of the nodes that the caller gets."""
    return _put_off(Grouping(steps, finals).steps)


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
    for entry in map(Entry, steps):
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
