"""Reports of training steps: those not fetched from the device yet, and an epoch's totals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .._contract_of_rules import value_of
from ..distributed import Agreed
from ..errors import CheckpointError
from ..optimizers import Optimizer
from .step import Batch


@dataclass
class PendingStep:
    """A step that was taken, and whose logs are still on the device.

    agreed : on several GPUs, what all workers have summed up in it, which is still on the device as well.
    """

    epoch: int
    step: int
    optimizer: Optimizer
    make: Callable[[], Batch]
    logs: dict[str, Any]
    agreed: Agreed | None = field(default=None, init=False)


def made(step: PendingStep) -> PendingStep:
    """The step with its batch made now, to be looked at as often as asked for."""
    batch = step.make()
    return replace(step, make=lambda: batch)


@dataclass
class EpochTotals:
    """Sums over the steps of an epoch, on the host."""

    total: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    learning_rate: float = math.nan

    def add(self, logs: dict[str, Any], learning_rate: float) -> None:
        logs = dict(logs)
        total = logs.pop("total")
        self.total += total
        self.learning_rate = learning_rate
        for name, value in logs.items():
            if isinstance(value, dict):
                sums = self.metrics.setdefault(name, dict.fromkeys(value, 0.0))
                if missing := sorted(value.keys() - sums.keys()):  # from a checkpoint that nobody here wrote
                    raise CheckpointError(f"the sums that it goes on with lack {', '.join(missing)} of {name}")
                for part in value:
                    sums[part] += value[part]
            else:
                self.losses[name] = self.losses.get(name, 0.0) + value * total

    def logs(self, metrics: Iterable[Any]) -> dict[str, float]:
        """Means over the steps so far: losses, these metrics, and the last learning rate."""
        total = self.total or 1.0
        data_loss, penalty = (self.losses[name] / total for name in ("data_loss", "penalty"))
        logs = {"loss": data_loss + penalty, "data_loss": data_loss, "penalty": penalty}
        for metric in metrics:
            logs[metric.name] = value_of(metric, self.metrics[metric.name])
        return logs | {"learning_rate": self.learning_rate}
