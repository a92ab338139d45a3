"""The baseline of a run that goes on from one that is done."""

from __future__ import annotations

from .. import tree
from ..model import Model
from ..training.callbacks import Callback, EarlyStopping


class Baseline(Callback):
    """Gives early stopping the weights that a run begins with as its best ones, until an epoch is better.

    stops : the run's early stopping; its callbacks come before this one. Those that do not monitor val_loss
    are left as they are. loss : of these weights on the validation rows.
    """

    def __init__(self, stops: list[EarlyStopping], loss: float) -> None:
        self.stops, self.loss = stops, loss

    def on_fit_begin(self, model: Model) -> None:
        for one in self.stops:
            if one.monitor == "val_loss":
                one.best, one.best_params = self.loss, tree.copy(model.params)
