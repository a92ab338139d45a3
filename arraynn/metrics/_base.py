"""`Metric`: the base class of metrics, computed from sums over rows, so that batches and blocks of rows add up.

A metric is a frozen dataclass called as `metric(outputs, targets, sample_weight=None) -> number`, where outputs are
those of the network. In a training step, `sums` computes on the device and `value` divides on the host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from .._array import namespace, zero_like
from .._contract_of_rules import sums_of, value_of
from .._coupling import Splittable
from .._hyperparameters import Hyperparameters
from .._types import Array
from ..backends import number
from ..errors import ContractError


class Task(NamedTuple):
    """A loss's description of its outputs and targets, from which a metric takes its hyperparameters.

    targets : "classes", "binary" or "values". outputs : "logits", "probabilities", "scores", "log rates" or "values".
    threshold : an output of a binary task above it predicts the positive class. ignore_label : targets of this value
    do not count.
    """

    targets: str
    outputs: str
    threshold: float = 0.0
    ignore_label: int | None = None

    @property
    def logits(self) -> bool:
        return self.outputs == "logits"


class Metric(Splittable, Hyperparameters):
    """The base class of metrics. `sums` returns a dict of 0-d arrays (or numbers) that add up over rows.

    name : its key in the history.
    mode : "max" if a larger number is better, "min" if a smaller one is, None if that is not known. A callback that
        monitors the metric with mode="auto" uses it.
    tasks : the kinds of targets, of "classes", "binary" and "values", for which its name stands for it; see
        `for_task`.
    batch_coupled : a metric of your own gets unsplit batches unless its class says `batch_coupled = False`, which
        promises that the sums of blocks of rows add up to those of the batch.
    """

    name: ClassVar[str]
    mode: ClassVar[str | None] = None
    tasks: ClassVar[tuple[str, ...]] = ()
    #: whether it needs all rows together, so that it is computed in validation and `evaluate` only; see `WholeSet`
    whole_set: ClassVar[bool] = False

    @classmethod
    def for_task(cls, task: Task) -> tuple[Metric, ...]:
        """The metrics of this class for a task, by which names find them; none if the class does not fit the task."""
        return cls.made_for(task) if task.targets in cls.tasks else ()

    @classmethod
    def made_for(cls, task: Task) -> tuple[Metric, ...]:
        """`for_task` for a task whose targets fit. A class whose hyperparameters depend on the task overrides it."""
        return (cls(),)

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define sums")

    def value(self, sums: Mapping[str, float]) -> float:
        """The metric from its sums, as Python floats. It is nan if the total weight is 0."""
        if not {"sum", "weight"} <= sums.keys():
            problem = f"its sums has {', '.join(sums)}, but a metric is sums['sum'] / sums['weight']"
            location = {"layer": type(self).__name__, "path": "metrics"}
            raise ContractError(f"{problem}; define value(sums) if it is computed differently", **location)
        return sums["sum"] / sums["weight"] if sums["weight"] else math.nan

    def prepare(self, targets: Array) -> Metric:
        """The metric for a training run on these targets, which may be read once on the host."""
        return self

    def check(self, output_shape: tuple[int, ...]) -> None:
        """Raise ShapeError if outputs of this shape, without the batch axis, have no such metric.

        `Model` calls it before it trains or evaluates.
        """

    def centered(self, targets: Array, sample_weight: Array | None = None) -> Metric:
        """The prepared metric for a pass over these targets, such as validation.

        It may differ in constants that keep its sums precise there, but has the same value.
        """
        return self

    def __call__(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        metric = self.prepare(targets).centered(targets, sample_weight)
        return value_of(metric, {k: number(v) for k, v in sums_of(metric, outputs, targets, sample_weight).items()})


def weighted(rows: Array, sample_weight: Array | None) -> dict[str, Any]:
    """The sums of a mean over rows."""
    xp = namespace(rows)
    if sample_weight is None:
        return {"sum": xp.sum(rows), "weight": rows.shape[0]}
    sample_weight = xp.astype(sample_weight, rows.dtype, copy=False)
    # where, not a product: a row of weight 0 does not count even if its outputs are not finite
    rows = xp.where(sample_weight != 0, rows, zero_like(rows))
    return {"sum": xp.sum(rows * sample_weight), "weight": xp.sum(sample_weight)}
