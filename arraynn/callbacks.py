"""Callbacks: what happens beside training. They stand in `arraynn.training.callbacks`; this is their public path."""

from .training.callbacks import BestWeights, Callback, CSVLog, EarlyStopping, Monitor, ReduceLROnPlateau
from .training.checkpoint import Checkpoint

__all__ = ["BestWeights", "CSVLog", "Callback", "Checkpoint", "EarlyStopping", "Monitor", "ReduceLROnPlateau"]
