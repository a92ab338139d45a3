"""What a run that is done brings into one that goes on from it."""

from __future__ import annotations

from .. import tree
from ..model import Model
from ..training.callbacks import Callback, EarlyStopping


class Standing(Callback):
    """Behind early stopping of a run that goes on: the weights it begins with stand until an epoch's are better.

    loss : theirs on the validation rows.
    """

    def __init__(self, stops: list[EarlyStopping], loss: float) -> None:
        self.stops, self.loss = stops, loss

    def on_fit_begin(self, model: Model) -> None:
        for one in self.stops:
            if one.monitor == "val_loss":
                one.best, one.best_params = self.loss, tree.copy(model.params)
