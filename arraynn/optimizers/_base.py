"""A rule for one array, lifted to the nest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import tree
from .._array import namespace
from .._types import Array, Nest
from ..backends import for_type
from ..errors import ShapeError
from ..schedules import Schedule, checked_rate, rate_at


@dataclass(frozen=True)
class Optimizer:
    """The base of the optimizers: a subclass gives the rule for one array in `scalars`, `init_one`, `update_one`.

    learning_rate : a finite number of at least 0, or a schedule, step -> learning rate.

    State is {"step": updates done, "slots": the params' nest with a dict of arrays at each leaf}.
    Values under the key "statistics" are not trained: `update` takes their new values from the gradients' nest.
    """

    learning_rate: float | Schedule = 0.001

    #: whether the rule looks at each element by itself, so that backends may cut, join and fuse arrays
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_rate(self.learning_rate)

    def scalars(self, step: int) -> dict[str, float]:
        """The numbers of this step, in float64 on the host; what branches on step, branches here."""
        return {"lr": rate_at(self.learning_rate, step)}

    def init_one(self, p: Array) -> dict[str, Array]:
        """The slots of a parameter."""
        return {}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Array, Any]:
        """(new p, new slots), from the gradient g and the scalars c. Consumes p and slots, leaves g."""
        raise NotImplementedError(f"{type(self).__name__} must define update_one")

    def init(self, params: Nest) -> dict[str, Any]:
        """The state before the first update. Raises ValueError for float16 parameters."""
        trained = tree.trained(params)
        for path, p in tree.items(trained):
            if namespace(p).finfo(p.dtype).bits < 32:
                raise ValueError(
                    f"parameter {path!r} is {p.dtype}: its epsilon swallows an optimizer's; train in float32 or float64"
                )
        return {"step": 0, "slots": tree.map(self.init_one, trained)}

    def update(self, params: Nest, grads: Nest, state: Mapping[str, Any]) -> tuple[Nest, dict[str, Any]]:
        """One step: (params, state). Consumes the params and the state it is given: use only what it returns.

        Raises ShapeError where grads is not a nest like params.
        """
        params, slots = self.apply(params, grads, state["slots"], self.scalars(state["step"]))
        return params, {"step": state["step"] + 1, "slots": slots}

    def apply(self, params: Nest, grads: Nest, slots: Nest, scalars: Mapping[str, Any]) -> tuple[Nest, Nest]:
        """The update with its scalars given, for a step that is compiled: (params, slots)."""
        trained = tree.trained(params)
        leaves: list[tuple[Any, ...]] = []
        tree.map(lambda *leaf: leaves.append(leaf), trained, tree.trained(grads), slots)
        for p, g, _ in leaves:
            if tuple(p.shape) != tuple(g.shape):
                raise ShapeError(f"a gradient has shape {tuple(g.shape)}, its parameter {tuple(p.shape)}")
        if leaves and self.elementwise:
            engine = for_type(type(leaves[0][0]))
            results = iter(engine.elementwise(self.update_one)(leaves, scalars))
        else:
            results = iter([self.update_one(*leaf, scalars) for leaf in leaves])
        updated = tree.map(lambda _: next(results), trained)
        first, second = (tree.map(lambda _, result, i=i: result[i], trained, updated) for i in (0, 1))
        return tree.with_statistics(first, grads), second
