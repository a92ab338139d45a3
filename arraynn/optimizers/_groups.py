"""Different optimizers for different parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from .. import tree
from .._array import namespace
from .._hyperparameters import described
from .._types import Array, Nest
from ..schedules import Scaled
from ._base import Optimizer


@dataclass(frozen=True)
class Groups(Optimizer):
    """An optimizer for each parameter, by its path: Groups(AdamW(0.01), {"*.bias": AdamW(0.01, weight_decay=0)}).

    default : for parameters that no pattern matches. groups : {pattern: optimizer}; the first that matches a path such
    as "0.weight" is used. Patterns are the shell's: * is any characters, dots too, ? is one, [01] one of these.
    `init` raises ValueError for a pattern that matches no parameter, or only those matched by earlier patterns.

    learning_rate is the default's. If it is given, as by dataclasses.replace, it replaces that of all groups; if it is
    the default's, scaled (ReduceLROnPlateau), all are scaled alike.

    By convention, as PyTorch's parameter groups, here by paths and patterns.

    >>> import numpy as np
    >>> from arraynn import SGD
    >>> optimizer = Groups(SGD(1.0), {"*.bias": SGD(0.25)})
    >>> params = [{"weight": np.asarray([4.0]), "bias": np.asarray([4.0])}]
    >>> optimizer.update(params, [{"weight": np.ones(1), "bias": np.ones(1)}], optimizer.init(params))[0]
    [{'weight': array([3.]), 'bias': array([3.75])}]
    """

    default: Optimizer  # type: ignore[misc]  # no default, as __init__ is written by hand
    groups: tuple[tuple[str, Optimizer], ...]  # type: ignore[misc]
    learning_rate: ClassVar[Any]  # type: ignore[misc]  # no field here, but the default's: see below

    def __init__(self, default: Optimizer, groups: Any, *, learning_rate: Any = None) -> None:
        pairs = tuple((pattern, one) for pattern, one in (groups.items() if isinstance(groups, Mapping) else groups))
        for pattern, one in (("default", default), *pairs):
            if not isinstance(pattern, str) or not isinstance(one, Optimizer):
                raise TypeError(f'Groups takes Groups(Adam(), {{"*.bias": SGD()}}), got {pattern!r}: {described(one)}')
        if learning_rate is not None:
            factor = None
            if isinstance(learning_rate, Scaled) and learning_rate.learning_rate == default.learning_rate:
                factor = learning_rate.factor
            pairs = tuple((pattern, _with_rate(one, learning_rate, factor)) for pattern, one in pairs)
            default = replace(default, learning_rate=learning_rate)
        object.__setattr__(self, "default", default)
        object.__setattr__(self, "groups", pairs)

    @property  # type: ignore[no-redef]
    def learning_rate(self) -> Any:
        return self.default.learning_rate

    def of(self, path: str) -> Optimizer:
        """The optimizer of the parameter at this path."""
        return dict(self._all())[self._pattern(path)]

    def scalars(self, step: int) -> dict[str, Any]:
        """Each group's own scalars, by its pattern; the default's under ""."""
        return {pattern: one.scalars(step) for pattern, one in self._all()}

    def init(self, params: Nest) -> dict[str, Any]:
        trained = tree.trained(params)
        paths = tree.paths(trained)
        taken = {self._pattern(path) for path in paths}
        for pattern, _ in self.groups:
            if pattern not in taken:
                raise ValueError(f"pattern {pattern!r} fits no parameter that is left; there are {', '.join(paths)}")
        slots: dict[str, Any] = {}
        for _, one, own in self._parts(trained):
            slots |= one.init(own)["slots"]
        return {"step": 0, "slots": _like(trained, slots)}

    def apply(self, params: Nest, grads: Nest, slots: Nest, scalars: Mapping[str, Any]) -> tuple[Nest, Nest]:
        trained = tree.trained(params)
        leaves: list[tuple[Any, Any]] = []
        tree.map(lambda _, *others: leaves.append(others), trained, tree.trained(grads), slots)
        others = dict(zip(tree.paths(trained), leaves, strict=True))
        first: dict[str, Any] = {}
        second: dict[str, Any] = {}
        for pattern, one, own in self._parts(trained):
            g, s = ({path: others[path][i] for path in own} for i in (0, 1))
            updated, kept = one.apply(own, g, s, scalars[pattern])
            first |= updated
            second |= kept
        return tree.with_statistics(_like(trained, first), grads), _like(trained, second)

    def averaged(self, params: Nest, state: Mapping[str, Any]) -> Nest:
        """The averaged weights of the groups that average (EMA, SWA), and copies of the other parameters."""
        trained = tree.trained(params)
        leaves: list[Any] = []
        tree.map(lambda _, s: leaves.append(s), trained, state["slots"])
        slots = dict(zip(tree.paths(trained), leaves, strict=True))
        found: dict[str, Any] = {}
        for _, one, own in self._parts(trained):
            if hasattr(one, "averaged"):
                found |= one.averaged(own, {"step": state["step"], "slots": {path: slots[path] for path in own}})
            else:
                found |= tree.map(_copy, own)
        return tree.with_statistics(_like(trained, found), tree.map(_copy, params))

    def _all(self) -> tuple[tuple[str, Optimizer], ...]:
        return (*self.groups, ("", self.default))

    def _pattern(self, path: str) -> str:
        return next((pattern for pattern, _ in self.groups if fnmatchcase(path, pattern)), "")

    def _parts(self, trained: Nest) -> Iterator[tuple[str, Optimizer, dict[str, Array]]]:
        """(pattern, optimizer, {path: parameter}) for each group that has any."""
        by_path = dict(tree.items(trained))
        of = {path: self._pattern(path) for path in by_path}
        for pattern, one in self._all():
            own = {path: leaf for path, leaf in by_path.items() if of[path] == pattern}
            if own:
                yield pattern, one, own


def _with_rate(optimizer: Optimizer, learning_rate: Any, factor: float | None) -> Optimizer:
    rate = learning_rate if factor is None else Scaled(optimizer.learning_rate, factor)
    return replace(optimizer, learning_rate=rate)


def _like(nest: Nest, by_path: Mapping[str, Any]) -> Nest:
    """The values of by_path at each leaf's path, in the structure of nest."""
    rest = iter(tree.paths(nest))
    return tree.map(lambda _: by_path[next(rest)], nest)


def _copy(p: Array) -> Any:
    return namespace(p).asarray(p, copy=True)
