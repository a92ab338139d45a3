"""The base class of optimizers: it applies the update of one array to a nest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import tree
from .._array import namespace
from .._contract_of_rules import check_update, slots_of, updated
from .._coupling import outside
from .._habits import OF_OPTIMIZER
from .._hyperparameters import Hyperparameters, python_numbers
from .._types import Array, Nest
from ..backends import Backend, disjoint, for_type, is_elementwise
from ..errors import ShapeError
from ..schedules import Schedule, checked_rate, rate_at


@dataclass(frozen=True)
class Optimizer(Hyperparameters):
    """The base of the optimizers: a subclass gives the rule for one array in `scalars`, `init_one`, `update_one`.

    learning_rate : a finite number of at least 0, or a schedule, step -> learning rate.

    State is {"step": updates done, "slots": the params' nest with a dict of arrays at each leaf}.
    Values under the key "statistics" are not trained: `update` takes their new values from the gradients' nest.
    """

    learning_rate: float | Schedule = 0.001

    _habits = OF_OPTIMIZER

    #: whether the rule is elementwise, so that backends may split, join and fuse arrays. A rule that is not (LARS takes
    #: norms) says False; a custom rule that reads a shape, or reduces, without saying so is detected, and is applied to
    #: one parameter after another.
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_rate(self.learning_rate)

    def scalars(self, step: int) -> dict[str, float]:
        """The numbers of this step, in float64 on the host; any branch on step belongs here."""
        return {"lr": rate_at(self.learning_rate, step)}

    def init_one(self, p: Array) -> dict[str, Array]:
        """The slots of a parameter."""
        return {}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        """(new p, new slots), from the gradient g and the scalars c. Consumes p and slots, leaves g."""
        raise NotImplementedError(f"{type(self).__name__} must define update_one")

    def shown(
        self, step: int, g: Array, before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> tuple[dict[str, float], dict[str, Array]]:
        """(numbers, arrays) of one update by the symbols of the class's formula, for explanations.

        before, after : the slots of one parameter. If a rule stores other quantities than its formula has, to save
        work, this returns those of the formula. Each number follows from those before it.
        """
        kept = {f"{name} {when}": own[name] for name in before for when, own in (("before", before), ("after", after))}
        return self.scalars(step), kept

    def init(self, params: Nest) -> dict[str, Any]:
        """The state before the first update. Raises ValueError for float16 parameters."""
        trained = tree.trained(params)
        for path, p in tree.items(trained):
            if namespace(p).finfo(p.dtype).bits < 32:
                raise ValueError(
                    f"parameter {path!r} is {p.dtype}: its epsilon swallows an optimizer's; train in float32 or float64"
                )
        return {"step": 0, "slots": tree.map(lambda p: slots_of(self, p), trained)}

    def update(self, params: Nest, grads: Nest, state: Mapping[str, Any]) -> tuple[Nest, dict[str, Any]]:
        """One step: (params, state). Consumes the params and the state it is given: use only what it returns.

        Raises ShapeError where grads is not a nest like params.
        """
        params, slots = self.apply(params, grads, state["slots"], python_numbers(self.scalars(state["step"])))
        return params, {"step": state["step"] + 1, "slots": slots}

    def apply(self, params: Nest, grads: Nest, slots: Nest, scalars: Mapping[str, Any]) -> tuple[Nest, Nest]:
        """The update with given scalars, for a compiled step: (params, slots)."""
        leaves: list[tuple[Array, Array, dict[str, Array]]] = []
        _gather(params, grads, slots, leaves)
        engine = for_type(type(leaves[0][0])) if leaves else None
        disjoint([x for p, _, own in leaves for x in (p, *own.values())], lambda: _paths(params, leaves))
        forms = [(tuple(p.shape), dict(own)) for p, _, own in leaves] if self.from_outside else []
        if engine is not None and self._by_element(engine, leaves, scalars):
            results = engine.elementwise(self.update_one)(leaves, scalars)
        else:
            results = [updated(self, p, g, own, scalars) for p, g, own in leaves]
        for (shape, held), result in zip(forms, results, strict=False):
            self.check_update(shape, held, result)
        return _scatter(params, grads, iter(results))

    @property
    def from_outside(self) -> bool:
        """Whether the rule, or one that it wraps, is custom, not of this library."""
        return outside(type(self).__module__)

    def check_update(self, shape: tuple[int, ...], slots: Mapping[str, Array], result: Any) -> None:
        """ContractError unless (p, slots) of an update keep the shapes of the parameter and of its slots."""
        check_update(self, shape, slots, result)

    def _by_element(self, engine: type[Backend], leaves: list[Any], scalars: Mapping[str, Any]) -> bool:
        """Whether the engine may treat the leaves as one array; a custom rule is checked for it."""
        if not self.elementwise or not self.from_outside:
            return self.elementwise
        return engine.traces_rules and all(is_elementwise(self.update_one, p, own, scalars) for p, _, own in leaves)


def _gather(params: Nest, grads: Nest, slots: Nest, leaves: list[Any]) -> None:
    """Append (p, g, slots) of every trained leaf, depth first. ShapeError where the nests differ."""
    if isinstance(params, dict):
        if not isinstance(grads, dict) or grads.keys() != params.keys():
            raise ShapeError(f"the gradients' nest must have the parameters' keys {list(params)}, got {_form(grads)}")
        for key, value in params.items():
            if key != tree.STATISTICS:
                _gather(value, grads[key], slots[key], leaves)
    elif isinstance(params, (list, tuple)):
        if not isinstance(grads, (list, tuple)) or len(grads) != len(params):
            raise ShapeError(
                f"the gradients' nest must have {len(params)} items, as the parameters', got {_form(grads)}"
            )
        for p, g, own in zip(params, grads, slots, strict=True):
            _gather(p, g, own, leaves)
    else:
        if tuple(params.shape) != tuple(grads.shape):
            raise ShapeError(f"a gradient has shape {tuple(grads.shape)}, its parameter {tuple(params.shape)}")
        leaves.append((params, grads, slots))


def _scatter(params: Nest, grads: Nest, results: Iterator[Any]) -> tuple[Nest, Nest]:
    """The results at the positions of the leaves of `_gather`: (params, slots). Statistics come from grads."""
    if isinstance(params, dict):
        new, slots = {}, {}
        for key, value in params.items():
            if key == tree.STATISTICS:
                new[key] = grads[key]
            else:
                new[key], slots[key] = _scatter(value, grads[key], results)
        return new, slots
    if isinstance(params, (list, tuple)):
        both = [_scatter(p, g, results) for p, g in zip(params, grads, strict=True)]
        return type(params)([p for p, _ in both]), type(params)([s for _, s in both])
    p, own = next(results)
    return p, own


def _paths(params: Nest, leaves: list[Any]) -> list[str]:
    """Of each parameter, and of its slots."""
    named = zip(tree.paths(tree.trained(params)), leaves, strict=True)
    return [name for path, (_, _, own) in named for name in (path, *(f"{path}.{slot}" for slot in own))]


def _form(nest: Nest) -> str:
    return f"a nest of {type(nest).__name__}" + (f" with {list(nest)}" if isinstance(nest, dict) else "")
