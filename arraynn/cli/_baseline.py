"""`Baseline`: makes early stopping compare a continued run with the weights that it starts from."""

from __future__ import annotations

from .. import tree
from ..model import Model
from ..training.callbacks import Callback, EarlyStopping


class Baseline(Callback):
    """Callback that gives early stopping the initial weights of a run as its best ones, until an epoch is better.

    stops : the run's early-stopping callbacks, which run before this one. Those that do not monitor val_loss are not
    changed. loss : the loss of the initial weights on the validation rows.
    """

    def __init__(self, stops: list[EarlyStopping], loss: float) -> None:
        self.stops, self.loss = stops, loss

    def on_fit_begin(self, model: Model) -> None:
        for callback in self.stops:
            if callback.monitor == "val_loss":
                callback.best, callback.best_params = self.loss, tree.copy(model.params)
