"""Rewrites of the graph: known values are not computed again, and small parameters are updated as one array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import tree
from .graph import Graph, Node, Operand, TraceError, reachable
from .opaque import traced_elements
from .trace import Storage, Tracer, filled


def rewritten(graph: Graph, roots: Sequence[Node], rule: Callable[[Node], Node | None]) -> list[Node]:
    """The roots, with each node that they need replaced by rule(node), operands first; None keeps it.

    Opaque nodes are made anew in their order, so that none moves.
    """
    effects, graph.effects = graph.effects, []
    new: dict[int, Node] = {}
    for node in reachable([*roots, *effects]):
        operands = tuple(new[x.serial] for x in node.operands)
        made = node
        if node.kind == "opaque" or any(map(_differ, operands, node.operands)):
            more = {"weak": node.weak, "host": node.host}
            made = graph.node(node.op, operands, node.shape, node.dtype, **more, **node.attributes)
        new[node.serial] = rule(made) or made
    return [new[root.serial] for root in roots]


def _differ(a: Node, b: Node) -> bool:
    return a is not b


# ---------------------------------------------------------------- simplification


def simplify(graph: Graph, roots: Sequence[Node]) -> list[Node]:
    """t > 0, of a truth value as a number t, is the truth value; where(t, x, 0) times t is what it was; a shift whose
    copies of the sign are masked out is one shift of an unsigned number."""

    def rule(node: Node) -> Node | None:
        if node.op == "greater":
            x, y = node.operands
            return _truth(x) if _zero(y) else None
        if node.op == "multiply":
            x, y = node.operands
            chosen = x.op == "where" and x.operands[0] is _truth(y) and _zero(x.operands[2])
            return x if chosen and (x.shape, x.dtype) == (y.shape, y.dtype) else None
        if node.op == "bitwise_and" and node.dtype == np.int32 and not node.host:
            return _logical_shift(graph, *node.operands)
        return None

    return rewritten(graph, roots, rule)


def _truth(x: Node) -> Node | None:
    """The truth values that x is made of, as 0 and 1."""
    return x.operands[0] if x.op == "astype" and x.operands[0].dtype == bool else None


def _zero(x: Node) -> bool:
    return x.op == "constant" and x.value == 0


def _logical_shift(graph: Graph, shifted: Node, mask: Node) -> Node | None:
    if shifted.op != "bitwise_right_shift" or shifted.host:
        return None
    x, bits = shifted.operands
    known = all(y.op == "constant" and type(y.value) is int for y in (bits, mask))
    if not known or x.shape == () or x.dtype != np.int32 or not 0 < bits.value < 32:
        return None
    return (
        graph.node("logical_shift", (x,), x.shape, x.dtype, bits=bits.value)
        if mask.value == 2 ** (32 - bits.value) - 1
        else None
    )


# ---------------------------------------------------------------- updates


class Leaf:
    """A parameter of an update, its gradient and its slots."""

    def __init__(self, index: int, p: Node, g: Node, slots: dict[str, Node]) -> None:
        self.index, self.p, self.g, self.slots = index, p, g, slots

    @property
    def written(self) -> tuple[Node, ...]:
        return self.p, *self.slots.values()

    @property
    def alike(self) -> bool:
        """Whether all is of one shape and dtype."""
        return all((x.shape, x.dtype) == (self.p.shape, self.p.dtype) for x in (self.g, *self.slots.values()))


def leaves_of(update: Node) -> list[Leaf]:
    """The leaves of an update, of nodes."""
    return [Leaf(i, *filled(leaf, update.operands)) for i, leaf in enumerate(update.attributes["leaves"])]


def pack_updates(graph: Graph, roots: Sequence[Node], donated: Iterable[int], small: float) -> list[Node]:
    """Updates, lowered. Parameters of up to `small` elements, whose memory is given away, are packed: laid end to end,
    updated by one call of the rule and stored where they were. Larger ones stay, each an update of its own. Where the
    rule is no elementwise one, it is called with each parameter alone.

    donated : serials of the inputs that may be written to.
    """
    given = set(donated)
    results: dict[tuple[int, int, str | None], Node] = {}
    taken: set[int] = set()

    def rule(node: Node) -> Node | None:
        if node.op == "update":
            for leaf, new in _lowered(graph, node, given, small, taken):
                results.update({(node.serial, leaf.index, name): x for name, x in new.items()})
            graph.effects = [x for x in graph.effects if x is not node]
        elif node.op == "result":
            return results.get((node.operands[0].serial, node.attributes["leaf"], node.attributes["name"]))
        elif any(x.op in ("unpack", "result") for x in node.operands):
            raise TraceError("something is computed from what an update returns")
        return None

    return rewritten(graph, roots, rule)


def _lowered(
    graph: Graph, update: Node, given: set[int], small: float, taken: set[int]
) -> Iterable[tuple[Leaf, dict[str | None, Node]]]:
    """(leaf, its results by the name of the slot; None names the parameter) for each leaf of an update."""
    rule, scalars = update.attributes["rule"], update.attributes["scalars"]
    numbers = filled(scalars, [Tracer(graph, x) for x in update.operands])
    packs: dict[Any, list[Leaf]] = {}
    alone: list[Leaf] = []
    for leaf in leaves_of(update):
        own = [x.serial for x in leaf.written]
        fits = leaf.p.size <= small and leaf.alike and given.issuperset(own)
        if len({*own, *taken}) != len(own) + len(taken):
            raise TraceError("one array is two leaves of an update")
        taken.update(own)
        if fits:
            packs.setdefault((leaf.p.dtype, tuple(leaf.slots)), []).append(leaf)
        else:
            alone.append(leaf)
    for (dtype, _), leaves in packs.items():
        try:
            yield from _packed(graph, rule, numbers, dtype, leaves)
        except TraceError:  # the rule is no elementwise one
            alone += leaves
    known: dict[Any, bool] = {}
    for leaf in alone:
        ours = leaf.alike and given.issuperset(x.serial for x in leaf.written)
        kind = leaf.p.dtype, tuple(leaf.slots), ours
        if kind not in known:
            known[kind] = ours and _is_elementwise(graph, rule, numbers, leaf)
        if known[kind]:
            yield leaf, _one(graph, update, leaf)
        else:
            yield leaf, _called(graph, rule, numbers, leaf)


def _packed(graph: Graph, rule: Any, numbers: Any, dtype: np.dtype, leaves: list[Leaf]) -> list[Any]:
    names = tuple(leaves[0].slots)
    size = sum(leaf.p.size for leaf in leaves)

    def pack(nodes: list[Node], donated: bool) -> Node:
        return graph.node("pack", nodes, (size,), dtype, donated=donated)

    p = pack([leaf.p for leaf in leaves], True)
    slots = {name: pack([leaf.slots[name] for leaf in leaves], True) for name in names}
    flat = len(leaves) == 1 and leaves[0].g.ndim == 1  # it lies end to end by itself, and is only read
    g = leaves[0].g if flat else pack([leaf.g for leaf in leaves], False)
    q, new = _tried(graph, rule, p, g, slots, numbers)
    targets: dict[str | None, Any] = {None: (p, q), **{name: (slots[name], new[name]) for name in names}}
    # what is new goes to the memory of what was
    stored = {name: graph.node("store", pair, (size,), dtype) for name, pair in targets.items()}
    found = []
    for leaf, start in zip(leaves, np.cumsum([0, *(leaf.p.size for leaf in leaves)]).tolist(), strict=False):
        found.append((leaf, {
            name: graph.node("unpack", (x,), leaf.p.shape, dtype, start=start) for name, x in stored.items()
        }))  # fmt: skip
    return found


def _tried(graph: Graph, rule: Any, p: Node, g: Node, slots: dict[str, Node], numbers: Any) -> Any:
    """`traced_elements`, whose refusal is not the whole function's."""
    before, graph.refusal = graph.refusal, ""
    try:
        found = traced_elements(graph, rule, p, g, slots, numbers)
    except Exception as error:  # whatever the rule raises on tracers
        raise TraceError(f"the rule raised {type(error).__name__}: {error}") from error
    finally:
        said, graph.refusal = graph.refusal, before
    if said:  # and caught by the rule
        raise TraceError(said)
    return found


def _is_elementwise(graph: Graph, rule: Any, numbers: Any, leaf: Leaf) -> bool:
    try:
        _tried(graph, rule, leaf.p, leaf.g, leaf.slots, numbers)
    except TraceError:
        return False
    return True


def _one(graph: Graph, update: Node, leaf: Leaf) -> dict[str | None, Node]:
    """An update of one leaf."""
    scalars = update.attributes["scalars"]
    numbers = [x.place for x in tree.leaves(scalars) if isinstance(x, Operand)]
    operands = [leaf.p, leaf.g, *leaf.slots.values(), *(update.operands[place] for place in numbers)]
    count = 2 + len(leaf.slots)
    moved = {place: Operand(count + i) for i, place in enumerate(numbers)}
    form = [(Operand(0), Operand(1), {name: Operand(2 + i) for i, name in enumerate(leaf.slots)})]
    scalars_form = tree.map(lambda x: moved[x.place] if isinstance(x, Operand) else x, scalars)
    attributes = {"rule": update.attributes["rule"], "leaves": form, "scalars": scalars_form}
    whole = graph.node("update", operands, **attributes)
    shape, dtype = leaf.p.shape, leaf.p.dtype
    return {name: graph.node("result", (whole,), shape, dtype, leaf=0, name=name) for name in (None, *leaf.slots)}


def _called(graph: Graph, rule: Any, numbers: Any, leaf: Leaf) -> dict[str | None, Node]:
    """The rule, called with one parameter as it is."""
    p, g, *slots = (Tracer(graph, x, Storage()) for x in (leaf.p, leaf.g, *leaf.slots.values()))
    try:
        q, new = rule(p, g, dict(zip(leaf.slots, slots, strict=True)), numbers)
    except Exception as error:  # whatever the rule raises on tracers
        raise TraceError(f"a rule raised {type(error).__name__}: {error}") from error
    if graph.refusal:
        raise TraceError(graph.refusal)
    if not isinstance(new, dict) or new.keys() != leaf.slots.keys():
        raise TraceError("a rule must return the slots that it is given")
    found: dict[str | None, Any] = {None: q, **new}
    if not all(isinstance(x, Tracer) for x in found.values()):
        raise TraceError("a rule must return arrays")
    return {name: x.read() for name, x in found.items()}
