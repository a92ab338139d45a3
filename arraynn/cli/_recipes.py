"""The data sets that `arraynn train` knows, and default settings that train well on each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets, initializers, layers, optimizers
from ..errors import DataError
from ..losses import Loss, as_loss, names_of_losses
from ..model import Model
from ..regularizers import L1L2
from ..schedules import InverseTimeDecay
from ..training.validation import finite
from ._output import UsageError

#: activation layers by their names in lower case
ACTIVATIONS: dict[str, Any] = dict(layers.named_activations())
RECTIFIERS = (
    "relu",
    "leakyrelu",
    "elu",
    "gelu",
    "silu",
    "softplus",
)  #: activations for which He's initial weights preserve the variance
OPTIMIZERS: dict[str, Any] = optimizers.named_optimizers()
#: names of losses: those of their functions, "mse" and "mae"
LOSSES = tuple(sorted(names_of_losses()))


@dataclass(frozen=True)
class Recipe:
    """Settings of a run; each is an option of the command line.

    architecture : "mlp", dense layers of the widths `hidden`, or "lenet", two convolutions before one dense layer.
    rates : the learning rate of each optimizer. batch_size : None is the whole set. l1, l2 : penalty on weights and
    biases of the hidden layers, as in the book.
    """

    architecture: str = "mlp"
    hidden: tuple[int, ...] = (64,)
    epochs: int = 50
    batch_size: int | None = 32
    activation: str = "relu"
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    optimizer: str = "adam"
    learning_rate: float | None = None
    rates: dict[str, float] = field(
        default_factory=lambda: {"adam": 0.001, "sgd": 0.05, "rmsprop": 0.001, "adagrad": 0.05}
    )
    decay: float = 0.0
    momentum: float | None = None
    loss: str | None = None
    clip_norm: float | None = None
    class_weight: Any = None
    early_stopping: int | None = None
    dtype: str = "float32"
    validation_split: float | None = None

    @property
    def description(self) -> str:
        """The optimizer, its learning rate and the regularization, as a run prints them at its start."""
        rates = ("decay", self.decay), ("dropout", self.dropout), ("l1", self.l1), ("l2", self.l2)
        nonzero = "".join(f", {name} {rate:g}" for name, rate in rates if rate)
        return f"{self.optimizer}, learning rate {self.learning_rate:g}{nonzero}"

    def changed(self, arguments: Any) -> Recipe:
        """The recipe, changed by the command line's options. Raises UsageError for options that do not fit."""
        given = {f.name: getattr(arguments, f.name, None) for f in fields(self)}
        recipe = replace(self, **{name: value for name, value in given.items() if value is not None})
        if given["batch_size"] == "full":
            recipe = replace(recipe, batch_size=None)
        if recipe.optimizer != "sgd" and recipe.momentum is not None:
            raise UsageError(f"--momentum {recipe.momentum:g} goes with --optimizer sgd, not with {recipe.optimizer}")
        if recipe.architecture == "lenet":
            wrong = [option for option in ("hidden", "activation", "l1", "l2") if given[option] is not None]
            if wrong:
                raise UsageError(f"--{wrong[0]} goes with --network mlp, not with lenet, whose layers are fixed")
            if recipe.optimizer == "adam" and given["decay"] is None and given["learning_rate"] is None:
                recipe = replace(recipe, learning_rate=0.002, decay=2e-3)  # 0.99 on MNIST in five epochs
        if recipe.learning_rate is None:
            recipe = replace(recipe, learning_rate=recipe.rate(recipe.optimizer))
        return recipe

    def rate(self, optimizer: str) -> float:
        """The default learning rate of an optimizer: from this recipe, or Adam's for optimizers that scale like it."""
        if optimizer in self.rates:
            return self.rates[optimizer]
        from_papers = {"adadelta": 1.0, "lion": self.rates["adam"] / 10}
        return from_papers.get(optimizer, self.rates["adam"])

    def criterion(self, data: Data) -> Loss:
        """The loss. Raises UsageError for a loss that does not fit the data."""
        loss = as_loss(self.loss or ("softmax_cross_entropy" if data.classes else "mean_squared_error"))
        if data.classes and _is_binary(loss) and data.outputs != 2:
            raise UsageError(f"--loss {self.loss} is for two classes, but the data have {data.outputs}")
        if data.classes and not _for_classes(loss):
            raise UsageError(f"--loss {self.loss} is for values, but the targets are classes; {_losses('classes')}")
        if not data.classes and _for_classes(loss):
            raise UsageError(f"--loss {self.loss} is for classes, but the targets are values; {_losses('values')}")
        if self.class_weight is not None and not data.classes:
            raise UsageError("--class-weight is for classes, but the targets are values")
        return loss

    def network(self, x: Any, outputs: int, loss: Loss | None = None) -> layers.Sequential:
        """The network for rows like those of x: dense layers, with initial weights that fit the activation.

        Weights are He's before rectifiers, LeCun's before SELU and Glorot's elsewhere. loss : if it takes
        probabilities, the network ends in a sigmoid or softmax.
        """
        if self.architecture == "lenet":
            return lenet(x.shape[1:], outputs, self.dropout)
        chain: list[Any] = [layers.Flatten()] if x.ndim > 2 else []
        penalty = L1L2(self.l1, self.l2) if self.l1 or self.l2 else None
        penalties: dict[str, Any] = {"weight_regularizer": penalty, "bias_regularizer": penalty}
        start = initializers.he_normal if self.activation in RECTIFIERS else initializers.glorot_uniform
        if self.activation == "selu":
            start = initializers.lecun_normal
        outputs = 1 if _is_binary(loss) else outputs
        for units in self.hidden:
            chain += [layers.Dense(units, weight_initializer=start, **penalties), ACTIVATIONS[self.activation]()]
            chain += [layers.Dropout(self.dropout)] if self.dropout else []
        end = (
            [layers.Sigmoid() if _is_binary(loss) else layers.Softmax()]
            if loss and loss.outputs == "probabilities"
            else []
        )
        return layers.Sequential(*chain, layers.Dense(outputs, **({} if self.hidden else penalties)), *end)

    def rule(self) -> optimizers.Optimizer:
        """The optimizer, with its learning rate and decay."""
        rate: Any = self.learning_rate
        if self.decay:
            rate = InverseTimeDecay(rate, decay=self.decay)
        if self.optimizer == "sgd":
            return optimizers.SGD(rate, momentum=0.9 if self.momentum is None else self.momentum)
        rule: optimizers.Optimizer = OPTIMIZERS[self.optimizer](rate)
        return rule


def lenet(shape: tuple[int, ...], outputs: int, dropout: float = 0.0) -> layers.Sequential:
    """LeNet: two convolutions of 20 and 50 filters, each followed by max pooling, then 500 units, with ReLU.

    LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86, 1998, with the widths of Caffe's version.
    shape : of a row: (H, W, C), (H, W), or (H · H,) for a square grey image. Images below 16 pixels get kernels of 3
    with padding, larger ones kernels of 5.
    """
    side = math.isqrt(math.prod(shape))
    image = shape if len(shape) == 3 else (*shape, 1) if len(shape) == 2 else (side, side, 1)
    if math.prod(image) != math.prod(shape) or min(image[:2]) < 4:
        raise UsageError(f"--network lenet takes images of at least 4 by 4 pixels, got rows of shape {shape}")
    small = min(image[:2]) < 16
    options: dict[str, Any] = {"padding": "same" if small else "valid", "weight_initializer": initializers.he_normal}
    chain: list[Any] = [] if image == tuple(shape) else [layers.Reshape(image)]
    for filters in (20, 50):
        chain += [layers.Conv2D(filters, 3 if small else 5, **options), layers.ReLU(), layers.MaxPool2D(2)]
    chain += [layers.Flatten(), layers.Dense(500, weight_initializer=initializers.he_normal), layers.ReLU()]
    chain += [layers.Dropout(dropout)] if dropout else []
    return layers.Sequential(*chain, layers.Dense(outputs))


RECIPES = {
    # the book's last version of its full model, with dropout and L2
    "spiral": Recipe(
        hidden=(512,),
        epochs=10_001,
        batch_size=None,
        dropout=0.1,
        l2=5e-4,
        rates={"adam": 0.05, "sgd": 0.5, "rmsprop": 0.02, "adagrad": 0.5},
        decay=5e-5,
    ),
    "vertical": Recipe(rates={"adam": 0.01, "sgd": 0.1, "rmsprop": 0.01, "adagrad": 0.1}),
    "sine": Recipe(
        hidden=(64, 64),
        epochs=300,
        activation="tanh",
        rates={"adam": 0.005, "sgd": 0.05, "rmsprop": 0.002, "adagrad": 0.05},
        decay=1e-3,
        validation_split=0.2,
    ),
    **dict.fromkeys(
        ("moons", "circles", "blobs", "xor"),
        Recipe(hidden=(32, 32), epochs=100, rates={"adam": 0.01, "sgd": 0.1, "rmsprop": 0.01, "adagrad": 0.1}),
    ),
    "iris": Recipe(
        hidden=(16,),
        epochs=100,
        batch_size=16,
        rates={"adam": 0.01, "sgd": 0.02, "rmsprop": 0.01, "adagrad": 0.1},
        validation_split=0.2,
    ),
    "digits": Recipe(hidden=(128,), epochs=50, l2=1e-4),
    "mnist": Recipe(hidden=(128,), epochs=5, batch_size=128),
    "fashion_mnist": Recipe(hidden=(128, 128), epochs=10, batch_size=128, decay=1e-4),
}
FILE = Recipe(hidden=(64, 64), epochs=100, validation_split=0.2)
#: for tables; epochs, batch size, dropout and l2 depend on the number of rows, unless options set them
TABLE = Recipe(
    hidden=(64, 64), rates={"adam": 0.003, "sgd": 0.05, "rmsprop": 0.003, "adagrad": 0.05}, validation_split=0.2
)


@dataclass(frozen=True)
class Data:
    """Training arrays, and test arrays or None. outputs : the number of classes, or of columns of y."""

    x: Any
    y: Any
    x_test: Any
    y_test: Any
    classes: bool
    outputs: int


def check_size(arguments: Any) -> None:
    """Raise UsageError if --size is given and the data are not a folder of images."""
    if arguments.size is None:
        return
    if arguments.data is None:
        raise UsageError("--size goes with a folder of images; name one by --data")
    if arguments.data in RECIPES or not Path(arguments.data).is_dir():
        raise UsageError(f"--size goes with a folder of images, not with {arguments.data}")


def image_size(model: Model) -> int | None:
    """Height and width of the images that a model takes; None if it takes no square images."""
    shape = model.input_shape
    return int(shape[0]) if shape is not None and len(shape) == 3 and shape[0] == shape[1] else None


def load(name: str, arguments: Any) -> Data:
    """Load the data set of that name, or from that file or folder. Raises DataError."""
    if name in GENERATED:
        return GENERATED[name](arguments)
    if name in RECIPES:
        arrays: Any = getattr(datasets, name)()
    elif Path(name).is_dir():
        arrays = datasets.load_image_folder(name, getattr(arguments, "size", None) or 28, cache=True)
    else:
        arrays = datasets.load_npz(name)
    x, y, x_test, y_test = (*arrays, None, None)[:4]
    for what, array in (("x", x), ("y", y), ("x_test", x_test), ("y_test", y_test)):
        if array is not None:  # before rows are held out, so that an error names the row of the file
            finite(f"{what} in {name}", array, "float32")
    classes = y.dtype.kind in "iub"
    x, x_test = (a if a is None or a.ndim > 1 else a[:, None] for a in (x, x_test))  # one number per row
    if not classes:
        if y.ndim > 2:
            raise DataError(f"{name}: y has shape {y.shape}; a regression takes (N,) or (N, columns)")
        return Data(x, y, x_test, y_test, False, 1 if y.ndim == 1 else y.shape[1])
    y, outputs = _labels(name, y)
    if outputs < 2:
        raise DataError(f"{name}: y holds one class only, 0; a classification needs at least 2")
    return Data(x, y, x_test, None if y_test is None else _labels(name, y_test)[0], True, outputs)


def _labels(name: str, y: Any) -> tuple[Any, int]:
    """(integer y as labels (N,) or as one-hot rows (N, K), the number of classes K)."""
    y = y.astype(np.int64)
    if y.ndim == 2 and y.shape[1] > 1 and y.min() >= 0 and (y.sum(axis=1) == 1).all():
        return y, y.shape[1]
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] > 1):
        remedy = "classes are (N,) or one-hot rows; for a regression, save y as floats"
        raise DataError(f"{name}: y holds integers of shape {y.shape}; {remedy}")
    y, largest = y.reshape(-1), int(y.max())
    if y.min() < 0:
        raise DataError(
            f"{name}: class labels must be at least 0, got {y.min()}; number the classes from 0, as by "
            f"numpy.unique(y, return_inverse=True)[1]"
        )
    if largest >= max(10 * len(y), 1000):
        raise DataError(
            f"{name}: y holds integers up to {largest}, too many classes for {len(y)} rows; for a regression, save "
            f"floats"
        )
    return y, max(largest + 1, 1)


def _points(make: Callable[..., Any], samples: int, classes: int = 3, fixed: bool = False) -> Callable[[Any], Data]:
    """A function that generates points, and as many test points. fixed : the number of classes is fixed."""

    def drawn(arguments: Any) -> Data:
        count = classes if fixed else arguments.classes or classes
        sizes = {"samples": arguments.samples or samples} | ({} if fixed else {"classes": count})
        x, y = make(**sizes, seed=arguments.seed)
        if arguments.validation_split is not None:  # validate on a part of these points instead
            return Data(x, y, None, None, True, count)
        x_test, y_test = make(**sizes, seed=arguments.seed + 1)
        return Data(x, y, x_test, y_test, True, count)

    return drawn


def _sine(arguments: Any) -> Data:
    x, y = datasets.sine(arguments.samples or 1000)
    return Data(x, y, None, None, False, 1)


def _losses(kind: str) -> str:
    """A remedy for an error message: the losses that fit this kind of targets."""
    fits = [name for name in LOSSES if (kind == "classes") == _for_classes(as_loss(name))]
    return f"use one of {', '.join(fits)}"


def _is_binary(loss: Loss | None) -> bool:
    """Whether the loss is binary, so that one output is enough for two classes."""
    return hasattr(loss, "threshold")


def _for_classes(loss: Loss) -> bool:
    return loss.targets == "classes" or _is_binary(loss)


GENERATED = {
    "spiral": _points(datasets.spiral, 1000),
    "vertical": _points(datasets.vertical, 100),
    "moons": _points(datasets.moons, 200, classes=2, fixed=True),
    "circles": _points(datasets.circles, 200, classes=2),
    "blobs": _points(datasets.blobs, 100),
    "xor": _points(datasets.xor, 200, classes=2, fixed=True),
    "sine": _sine,
}
