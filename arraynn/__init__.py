"""Neural-network building blocks on the Python Array API: every forward beside its hand-written backward."""

import importlib as _importlib
import typing as _typing

from . import backends, encoding, initializers, layers, losses, metrics, optimizers, regularizers, schedules, tree
from .backends import backend
from .distributed import LocalSGD, Shard, workers
from .encoding import TableEncoding
from .errors import (
    ArraynnError,
    BackendUnavailable,
    CheckpointError,
    ContractError,
    DataError,
    DataWarning,
    DeviceFault,
    DeviceOutOfMemory,
    DivergedError,
    ShapeError,
    WorkerError,
)
from .io.registry import register
from .layers import *
from .losses import *
from .model import Model
from .optimizers import *
from .random import Key
from .regularizers import *
from .schedules import *
from .training.callbacks import BestWeights, Callback, CSVLog, EarlyStopping, ReduceLROnPlateau
from .training.checkpoint import Checkpoint
from .training.lbfgs import minimize_lbfgs
from .training.rate_range import learning_rate_range
from .training.step import make_train_step, put

if _typing.TYPE_CHECKING:
    from . import datasets, interop, plot, testing

    __version__: str

__all__ = [
    "ArraynnError",
    "BackendUnavailable",
    "BestWeights",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "ContractError",
    "DataError",
    "DataWarning",
    "DeviceFault",
    "DeviceOutOfMemory",
    "DivergedError",
    "EarlyStopping",
    "Key",
    "LocalSGD",
    "Model",
    "ReduceLROnPlateau",
    "ShapeError",
    "Shard",
    "TableEncoding",
    "WorkerError",
    "backend",
    "backends",
    "datasets",
    "encoding",
    "initializers",
    "interop",
    "learning_rate_range",
    "make_train_step",
    "metrics",
    "minimize_lbfgs",
    "plot",
    "put",
    "register",
    "testing",
    "tree",
    "workers",
]
# All public names of these packages are public here too.
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += optimizers.__all__
__all__ += regularizers.__all__
__all__ += schedules.__all__

#: imported on first use: they would double the import time, and many programs need none of them
_LAZY = ("datasets", "interop", "plot", "testing")

if not _typing.TYPE_CHECKING:  # so that a type checker reports a name that does not exist

    def __getattr__(name: str) -> _typing.Any:
        if name in _LAZY:
            return _importlib.import_module(f".{name}", __name__)
        if name == "__version__":
            return _importlib.import_module(".io.model_file", __name__).own_version()
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        message = _importlib.import_module("._names", __name__).no_attribute(__name__, name, __all__)
        raise AttributeError(message, name=name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"])
