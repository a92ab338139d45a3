"""Local steps between exchanges, for slow links: DiLoCo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import tree
from .._hyperparameters import is_integer
from .._types import Nest
from ..backends import of
from ..errors import DataError
from ..optimizers import SGD, Optimizer
from ._parts import at_group, joined, parted

if TYPE_CHECKING:
    from ._team import Team


@dataclass(frozen=True)
class LocalSGD:
    """Workers take `every` steps on their own and then exchange weights: `fit(…, workers=…, reduction=nn.LocalSGD())`.

    every : steps between two exchanges, at least 1. outer : the rule that takes the workers' mean displacement,
        Δ = mean over workers of (weights before - weights after), for a gradient: Nesterov's with rate 0.7 and momentum
        0.9, as in DiLoCo. SGD(1.0) averages the weights (Stich's local SGD, FedAvg).
    Each step computes the gradient of the worker's own rows of the batch, divided by their own total, and updates by
    the model's optimizer, whose state stays with the worker. Weights are exchanged after each `every`-th step and at
    the end of each epoch, and also where a checkpoint is due, so that what is saved, validated and told is everybody's.

    An exchange is as large as that of one synchronous step, so the traffic is 1 / every of it; what remains in each
    step is one sum of some float64 numbers. It is another algorithm: results depend on the number of workers, and a
    run that goes on from a checkpoint begins the outer momentum anew, and takes worker 0's optimizer state for all.

    Douillard et al., arXiv:2311.08105, Algorithm 1; Stich, ICLR 2019.
    """

    every: int = 16
    outer: Optimizer = field(default_factory=lambda: SGD(0.7, momentum=0.9, nesterov=True))

    def __post_init__(self) -> None:
        if not is_integer(self.every, 1):
            raise DataError(f"every must be an integer of at least 1, got {self.every!r}")
        if not isinstance(self.outer, Optimizer):
            raise DataError(f"outer must be an Optimizer, such as nn.SGD(0.7, momentum=0.9), got {self.outer!r}")


class Outer:
    """The outer loop of a fit: the weights of the last exchange, and the outer rule's state."""

    def __init__(self, team: Team, rule: LocalSGD, params: Nest, step: int) -> None:
        self.team, self.rule = team, rule
        self.base = tree.copy(params)
        self.state: Any = rule.outer.init(self.base)
        self.last = step  #: the step after which weights were exchanged

    def due(self, step: int) -> bool:
        """Whether weights are exchanged after this many steps."""
        return step % self.rule.every == 0

    def exchange(self, params: Nest, step: int) -> Nest:
        """The weights that all go on with; statistics are averaged. Where it was done after this step, params."""
        if step == self.last:
            return params
        self.last = step
        own, group = joined(params), self.team.group
        mean = parted(of(own).asarray(group.exact(at_group(group, own)) / group.size, own.dtype), params)
        moved = tree.map(lambda before, after: before - after, tree.trained(self.base), tree.trained(mean))
        base, self.state = self.rule.outer.update(self.base, tree.with_statistics(moved, mean), self.state)
        self.base = base
        return tree.copy(base)
