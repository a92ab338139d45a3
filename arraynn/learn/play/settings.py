"""`Settings` of a session: names, ranges, defaults, and the data, network, loss and optimizer built from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from ... import datasets, initializers, layers, losses, optimizers, regularizers, schedules
from ...errors import DataError
from ...layers import Sequential, named_activations

ACTIVATIONS = tuple(kind.__name__ for kind in named_activations().values())
OPTIMIZERS = ("SGD", "RMSProp", "Adagrad", "Adadelta", "Adam", "AdamW", "AMSGrad", "NAdam", "RAdam", "Lion")
SCHEDULES = ("InverseTimeDecay", "ExponentialDecay", "StepDecay", "CosineDecay", "PolynomialDecay", "OneCycle")
LOSSES = {
    "classes": ("SoftmaxCrossEntropy", "SigmoidCrossEntropy", "Focal"),  # the last two: one output, two classes
    "values": ("MeanSquaredError", "MeanAbsoluteError", "Huber", "LogCosh", "Quantile"),
}
#: each generated data set: whether it takes a number of classes, its default noise, and the kind of its targets
DATA: dict[str, dict[str, Any]] = {
    "spiral": {"classes": True, "noise": 0.2, "targets": "classes"},
    "vertical": {"classes": True, "noise": 0.1, "targets": "classes"},
    "circles": {"classes": True, "noise": 0.05, "targets": "classes"},
    "moons": {"classes": False, "noise": 0.1, "targets": "classes"},
    "xor": {"classes": False, "noise": 0.1, "targets": "classes"},
    "blobs": {"classes": True, "noise": 0.2, "targets": "classes"},
    "sine": {"classes": False, "noise": 0.0, "targets": "values"},
    "plane": {"classes": False, "noise": 0.1, "targets": "values"},
}
#: the least and the largest value of each setting
LIMITS: dict[str, tuple[float, float]] = {
    "samples": (1, 2000),
    "classes": (2, 8),
    "noise": (0, 10),
    "seed": (0, 2**32 - 1),
    "weights_seed": (0, 2**32 - 1),
    "batch_size": (1, 16_000),
    "learning_rate": (0, 1e12),
    "l1": (0, 1e6),
    "l2": (0, 1e6),
    "units": (1, 256),
    "dropout": (0, 0.99),
    "layers": (0, 6),
    "added": (0, 500),
}
LIVE = ("optimizer", "optimizer_options", "learning_rate", "schedule", "schedule_options", "batch_size")
HE = {"ReLU", "LeakyReLU", "ELU", "SiLU", "GELU"}  #: activations whose layer starts from He's weights


@dataclass(frozen=True)
class Hidden:
    """A hidden layer: Dense, batch normalization if chosen, the activation, and dropout if its rate is not 0."""

    units: int = 16
    activation: str = "ReLU"
    dropout: float = 0.0
    batch_norm: bool = False


@dataclass(frozen=True)
class Settings:
    """All settings of a run. added : points added by hand, (x0, x1, class) or, for one input, (x, y).

    book : draw as the lessons do. RandomState(seed) gives the data and then the weights, normal(0.01), in float64.
    """

    data: str = "spiral"
    samples: int = 100
    classes: int = 3
    noise: float = 0.2
    seed: int = 0
    added: tuple[tuple[float, ...], ...] = ()
    layers: tuple[Hidden, ...] = (Hidden(64),)
    l1: float = 0.0
    l2: float = 0.0
    loss: str = "SoftmaxCrossEntropy"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "Adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 0.02
    schedule: str = "constant"
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    weights_seed: int = 0
    book: bool = False

    def changed(self, options: Any) -> Settings:
        """These settings, changed by a JSON object. Raises DataError for unknown names and values out of range."""
        known = {item.name: item for item in fields(self)}
        built = {name: _checked(name, value, known) for name, value in _mapping("settings", options).items()}
        new = replace(self, **built)
        if new.data not in DATA and new.data != "file":
            raise DataError(f"data is {new.data!r}; it must be one of {', '.join(DATA)}")
        if new.targets not in ("", "values") and not DATA.get(new.data, {"classes": True})["classes"]:
            new = replace(new, classes=2)
        return new

    @property
    def targets(self) -> str:
        """The kind of targets, "classes" or "values"; "" for a file, whose contents decide."""
        return str(DATA[self.data]["targets"]) if self.data in DATA else ""

    def arguments(self) -> dict[str, Any]:
        """The arguments of the data set's function, without the seed."""
        own = {"samples": self.samples}
        if DATA[self.data]["classes"]:
            own["classes"] = self.classes
        return own if self.noise == DATA[self.data]["noise"] else {**own, "noise": self.noise}

    def draw(self, seed: Any) -> tuple[Any, Any]:
        """The generated points, without added ones."""
        x, y = getattr(datasets, self.data)(**self.arguments(), seed=seed)
        return x, y

    def network(self, outputs: int) -> Sequential:
        """The network: hidden layers and an output layer. Penalties apply to hidden weights and biases."""
        chain: list[Any] = []
        book = {"weight_initializer": initializers.normal(0.01)} if self.book else {}
        penalty: dict[str, Any] = {}
        if self.l1 or self.l2:
            regularizer = regularizers.L1L2(self.l1, self.l2) if self.l1 else regularizers.L2(self.l2)
            penalty = {"weight_regularizer": regularizer, "bias_regularizer": regularizer}
        for hidden in self.layers:
            he = {"weight_initializer": initializers.he_normal} if hidden.activation in HE else {}
            chain.append(layers.Dense(hidden.units, **(book or he), **penalty))
            if hidden.batch_norm:
                chain.append(layers.BatchNorm())
            chain.append(getattr(layers, hidden.activation)())
            if hidden.dropout:
                chain.append(layers.Dropout(hidden.dropout))
        return Sequential(*chain, layers.Dense(outputs, **book))

    def rule(self) -> optimizers.Optimizer:
        """The optimizer with its schedule."""
        rate: Any = self.learning_rate
        if self.schedule != "constant":
            rate = _constructed(getattr(schedules, self.schedule), "schedule_options", self.schedule_options, rate)
        built: optimizers.Optimizer = _constructed(
            getattr(optimizers, self.optimizer), "optimizer_options", self.optimizer_options, rate
        )
        return built

    def loss_of(self, targets: str) -> Any:
        """The chosen loss, or the default loss where the chosen one does not fit the targets."""
        if self.loss not in LOSSES[targets]:
            return getattr(losses, LOSSES[targets][0])()
        return _constructed(getattr(losses, self.loss), "loss_options", self.loss_options)


def choices() -> dict[str, Any]:
    """The choices that a page offers, with the options of each and their defaults, as plain data."""
    return {
        "data": DATA,
        "activations": ACTIVATIONS,
        "optimizers": {name: _options(getattr(optimizers, name)) for name in OPTIMIZERS},
        "schedules": {"constant": {}} | {name: _options(getattr(schedules, name)) for name in SCHEDULES},
        "losses": {kind: {name: _options(getattr(losses, name)) for name in names} for kind, names in LOSSES.items()},
        "limits": LIMITS,
        "live": LIVE,
    }


def _options(kind: Any) -> dict[str, Any]:
    """A dataclass's hyperparameters that a page can set, without the learning rate, and their defaults."""
    others = ("learning_rate", "ignore_label")
    return {item.name: item.default for item in fields(kind) if item.init and item.name not in others}


def _constructed(kind: Any, name: str, options: Mapping[str, Any], *first: Any) -> Any:
    """Construct kind(*first, **options). Raises DataError for an unknown option or one of another type."""
    known = _options(kind)
    for key, value in options.items():
        if key not in known:
            raise DataError(f"{name}: {kind.__name__} has no option {key!r}; it has {', '.join(known) or 'none'}")
        if type(known[key]) is bool:
            fits = isinstance(value, bool)
        else:
            fits = _is_number(value) and (type(known[key]) is not int or float(value).is_integer())
            fits = fits or (value is None and known[key] is None)
        if not fits:
            raise DataError(f"{name}: {key} is {value!r}; it must be like {known[key]!r}")
    options = {key: int(value) if type(known[key]) is int else value for key, value in options.items()}
    try:
        return kind(*first, **options)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None


def number(name: str, value: Any, whole: bool = False, limits: tuple[float, float] | None = None) -> Any:
    """Check a number from JSON against its limits, by default those of `LIMITS`. Raises DataError."""
    low, high = limits or LIMITS[name]
    if not _is_number(value) or not low <= value <= high or (whole and value != int(value)):
        kind = "an integer" if whole else "a number"
        raise DataError(f"{name} is {str(value)[:40]!r}; it must be {kind} from {low:g} to {high:g}")
    return int(value) if whole else float(value)


def point(value: Any) -> tuple[float, ...]:
    """Check a point from JSON: two or three finite numbers. Raises DataError."""
    if not isinstance(value, list) or len(value) not in (2, 3) or not all(map(_is_number, value)):
        raise DataError(f"a point must be [x0, x1, class] or [x, y], all numbers, got {str(value)[:40]!r}")
    if max(map(abs, value)) > 1e6:
        raise DataError(f"a point's numbers lie within ±1e6, got {str(value)[:40]!r}")
    return tuple(float(np.float32(part)) for part in value)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"{name} must be an object of names and values, got {str(value)[:40]!r}")
    return dict(value)


def _list(name: str, value: Any) -> list[Any]:
    low, high = LIMITS[name]
    if not isinstance(value, (list, tuple)) or not low <= len(value) <= high:
        raise DataError(f"{name} must be a list of at most {high}, got {str(value)[:40]!r}")
    return list(value)


def _checked_name(name: str, value: Any, allowed: Any) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise DataError(f"{name} is {str(value)[:40]!r}; it must be one of {', '.join(allowed)}")
    return value


def _hidden(value: Any) -> Hidden:
    options = _mapping("a layer", value)
    if unknown := options.keys() - {item.name for item in fields(Hidden)}:
        raise DataError(
            f"a layer has no {min(map(str, unknown))[:40]!r}; it has units, activation, dropout, batch_norm"
        )
    if not isinstance(options.get("batch_norm", False), bool):
        raise DataError(f"batch_norm is {options['batch_norm']!r}; it must be true or false")
    return Hidden(
        number("units", options.get("units", 16), whole=True),
        _checked_name("activation", options.get("activation", "ReLU"), ACTIVATIONS),
        number("dropout", options.get("dropout", 0.0)),
        options.get("batch_norm", False),
    )


def _checked(name: str, value: Any, known: Mapping[str, Any]) -> Any:
    """Check one setting from JSON. Raises DataError."""
    if name not in known:
        raise DataError(f"there is no setting {name[:40]!r}; there are {', '.join(known)}")
    if name == "layers":
        return tuple(map(_hidden, _list(name, value)))
    if name == "added":
        return tuple(map(point, _list(name, value)))
    if name.endswith("_options"):
        return _mapping(name, value)
    if name == "batch_size" and value is None:
        return None
    if name == "book":
        if not isinstance(value, bool):
            raise DataError(f"book is {value!r}; it must be true or false")
        return value
    allowed = {
        "optimizer": OPTIMIZERS,
        "schedule": ("constant", *SCHEDULES),
        "loss": (*LOSSES["classes"], *LOSSES["values"]),
        "data": (*DATA, "file"),
    }
    if name in allowed:
        return _checked_name(name, value, allowed[name])
    return number(name, value, whole=name in ("samples", "classes", "seed", "weights_seed", "batch_size"))
