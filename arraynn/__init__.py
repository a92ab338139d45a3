"""Neural-network building blocks on the Python Array API: every forward beside its hand-written backward."""

from . import backends, datasets, initializers, metrics, tree
from .backends import backend
from .errors import ArraynnError, BackendUnavailable, CheckpointError, DataError, DivergedError, ShapeError
from .layers import *  # noqa: F403
from .losses import *  # noqa: F403
from .optimizers import *  # noqa: F403
from .random import Key
from .registry import register
from .regularizers import L1, L1L2, L2
from .schedules import CosineDecay, ExponentialDecay, InverseTimeDecay, LinearWarmup, StepDecay
from .callbacks import BestWeights, Callback, CSVLog, EarlyStopping, ReduceLROnPlateau
from .model import Model
from .training import make_train_step, put
