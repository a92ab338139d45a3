"""Callbacks, called during training. This is the public path of `arraynn.training.callbacks`."""

from .training.callbacks import BestWeights, Callback, CSVLog, EarlyStopping, Monitor, ReduceLROnPlateau
from .training.checkpoint import Checkpoint

__all__ = ["BestWeights", "CSVLog", "Callback", "Checkpoint", "EarlyStopping", "Monitor", "ReduceLROnPlateau"]
