"""What a trace stands for by one node, or several: an optimizer's update, a call at run time, a rule on elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from .graph import Graph, Node
from .trace import Element, Storage, Tracer, flattened


def update(rule: Callable[..., Any], leaves: Sequence[Any], scalars: Any) -> list[Any]:
    """An optimizer's `elementwise(rule)(leaves, scalars)` over (p, g, slots): one opaque node stands for it."""
    graph: Graph = leaves[0][0].graph
    leaves = [(p, g, own) for p, g, own in leaves]
    arrays = [x for p, g, own in leaves for x in (p, g, *own.values())]
    if not all(isinstance(x, Tracer) and x.graph is graph for x in arrays):
        raise graph.refuse("an update of what is no traced array")
    form, nodes = flattened(graph, (leaves, scalars))
    whole = graph.node("update", nodes, rule=rule, leaves=form[0], scalars=form[1])
    results = []
    for i, (p, _, own) in enumerate(leaves):
        for x in (p, *own.values()):
            if x.storage is not None:
                x.storage.consumed = True
        new = {name: Tracer(graph, graph.node("result", (whole,), s.node.shape, s.dtype, leaf=i, name=name))
               for name, s in own.items()}  # fmt: skip
        results.append((Tracer(graph, graph.node("result", (whole,), p.node.shape, p.dtype, leaf=i, name=None)), new))
    return results


def call(function: Callable[..., Any], arguments: tuple[Any, ...], like: Any) -> Any:
    """What function(*arguments) will return when the arguments are there: a nest of the form and the shapes of `like`,
    whose arrays are new ones, and whose numbers have the values of that call."""
    tracers = [x for x in tree.leaves([arguments, like]) if isinstance(x, Tracer)]
    graph = tracers[0].graph
    form, operands = flattened(graph, arguments)
    whole = graph.node("call", operands, function=function, arguments=form)

    def part(nest: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(nest, dict):
            return {key: part(value, (*path, key)) for key, value in nest.items()}
        if isinstance(nest, (list, tuple)):
            return type(nest)([part(value, (*path, i)) for i, value in enumerate(nest)])
        if nest is None:
            return None
        # a number, such as a count of rows, may be another one then
        found = nest if isinstance(nest, Tracer) else np.asarray(nest)
        return Tracer(graph, graph.node("part", (whole,), found.shape, found.dtype, path=path), Storage())

    return part(like, ())


class Exchange:
    """`key.parts` of a traced key: each exchange between the parts of a batch is a call, so it stays in its place.

    key : the traced key. count : the parts of the batch.
    """

    def __init__(self, key: Any, count: int) -> None:
        self.key, self.count = key, count

    def gather(self, array: Tracer) -> Any:
        """(count, …): what key.parts.gather(array) will return."""
        like = np.broadcast_to(np.zeros((), array.dtype), (self.count, *array.shape))
        return call(_gathered, (self.key, array), like)


def _gathered(key: Any, array: Any) -> Any:
    return key.parts.gather(array)


def kernel(function: Callable[[Any], Any], x: Tracer, shape: tuple[int, ...]) -> Tracer:
    """What function(x) will return: a new array of this shape, in the dtype of x. The function has no effects.

    Each call is made where it stands. Equal ones are not merged: a convolution makes its patches twice to save memory.
    """
    return Tracer(x.graph, x.graph.node("kernel", (x.read(),), shape, x.dtype, function=function))


def traced_elements(
    graph: Graph, rule: Callable[..., Any], p: Node, g: Node, slots: dict[str, Node], scalars: Any
) -> tuple[Node, dict[str, Node]]:
    """rule(p, g, slots, scalars) on elements: its results, if it is elementwise; else TraceError."""
    handles = [Element(graph, x, Storage()) for x in (p, g, *slots.values())]
    handles[1].storage.writable = False  # type: ignore[union-attr]  # the gradient is the caller's
    own = dict(zip(slots, handles[2:], strict=True))
    q, new = rule(handles[0], handles[1], own, scalars)
    if not isinstance(new, dict) or new.keys() != slots.keys():
        raise graph.refuse("a rule must return the slots that it is given")
    for x, like in ((q, p), *((new[name], slots[name]) for name in slots)):
        if not isinstance(x, Element) or (x.node.shape, x.node.dtype) != (like.shape, like.dtype):
            raise graph.refuse("a rule must return arrays like those that it is given")
    return q.read(), {name: new[name].read() for name in slots}
