"""Training: the step, the loop of epochs, what is checked before and reported during, and what can be resumed."""

from .clipping import clip
from .step import Batch, make_train_step, put

__all__ = ["Batch", "clip", "make_train_step", "put"]
