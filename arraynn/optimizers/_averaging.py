"""The base class of optimizers that keep an average of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from .. import tree
from .._array import namespace
from .._contract_of_rules import check_update, slots_of, updated
from .._hyperparameters import described, held_number, python_numbers
from .._types import Array, Nest
from ._base import Optimizer


@dataclass(frozen=True)
class Averaging(Optimizer):
    """Another optimizer's rule, and in addition to its slots the average a = keep a + share w of its weights.

    optimizer : any with a rule for one array. The average starts as the first weights. A subclass gives `mixing`.
    learning_rate : the wrapped optimizer's; given, it replaces that.
    """

    optimizer: Optimizer  # type: ignore[misc]  # no default, as __init__ is written by hand
    learning_rate: ClassVar[Any]  # type: ignore[misc]  # no field here, but the wrapped optimizer's: see below

    def __init__(self, optimizer: Optimizer, *, learning_rate: Any = None) -> None:
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{name} takes an optimizer, such as {name}(Adam(0.01)), got {described(optimizer)}")
        if isinstance(optimizer, Averaging):
            raise TypeError(f"{name} would average the weights twice: {type(optimizer).__name__} does so already")
        if type(optimizer).update_one is Optimizer.update_one:
            kind = type(optimizer).__name__
            raise TypeError(f"{name} takes a rule for one array, {kind} has none; average inside: {kind}({name}(…), …)")
        if learning_rate is not None:
            optimizer = replace(optimizer, learning_rate=held_number(learning_rate))
        object.__setattr__(self, "optimizer", optimizer)

    @property  # type: ignore[no-redef]
    def learning_rate(self) -> Any:
        return self.optimizer.learning_rate

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        return self.optimizer.elementwise

    @property
    def from_outside(self) -> bool:
        return super().from_outside or self.optimizer.from_outside

    def mixing(self, step: int) -> tuple[float, float]:
        """(keep, share) of the update `step`, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define mixing")

    def scalars(self, step: int) -> dict[str, float]:
        keep, share = self.mixing(step)
        return {**python_numbers(self.optimizer.scalars(step)), "keep": keep, "share": share}

    def init_one(self, p: Array) -> dict[str, Array]:
        return {**slots_of(self.optimizer, p), "average": namespace(p).asarray(p, copy=True)}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        average = slots["average"]
        p, own = updated(self.optimizer, p, g, _without_average(slots), c)
        average *= c["keep"]
        average += c["share"] * p
        return p, {**own, "average": average}

    def check_update(self, shape: tuple[int, ...], slots: Mapping[str, Array], result: Any) -> None:
        p, own = result
        check_update(self.optimizer, shape, _without_average(slots), (p, _without_average(own)))

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        inner = [{name: slot for name, slot in slots.items() if name != "average"} for slots in (before, after)]
        numbers, arrays = self.optimizer.shown(step, g, *inner)
        own = {"a before": before["average"], "a after": after["average"]}
        return numbers | {"share of w": self.mixing(step)[1]}, arrays | own

    def averaged(self, params: Nest, state: Mapping[str, Any]) -> Nest:
        """The averaged weights, a copy with the structure of params. Statistics (running means) are copied from params;
        they belong to the training weights, so update them by a pass over the training data."""
        average = tree.map(lambda _, slots: slots["average"], tree.trained(params), state["slots"])
        return tree.map(lambda p: namespace(p).asarray(p, copy=True), tree.with_statistics(average, params))


def _without_average(slots: Mapping[str, Array]) -> dict[str, Array]:
    """The slots of the optimizer that is averaged."""
    return {name: slot for name, slot in slots.items() if name != "average"}
