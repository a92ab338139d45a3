"""Numbers of NumPy's are taken wherever Python's are, and are Python's from then on."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import initializers, layers, losses, metrics, optimizers, regularizers, schedules
from arraynn._hyperparameters import PLAIN, held_number, python_number
from arraynn.layers.combinator import Combinator
from arraynn.schedules import Scaled

#: what must be given, beside what has a default
REQUIRED: dict[str, Any] = {
    "units": 3, "vocabulary": 5, "rate": 0.5, "value": 0.5, "scale": 2.0, "fan": "in", "distribution": "normal",
    "boundaries": (2, 4), "values": (0.3, 0.2, 0.1), "then": 0.1, "learning_rate": 0.1, "factor": 0.5, "momentum": 0.5,
    "function": nn.metrics.accuracy, "center": 1.5, "tolerance": 0.5, "optimizer": nn.SGD(0.5), "ignore_label": -1,
    "layer": nn.RNN(2), "filters": 2, "kernel_size": 3, "groups": 2, "heads": 2, "axes": (2, 1), "length": 5,
    "shape": (2,), "metric": nn.metrics.r2, "loss": nn.MeanSquaredError(),
}  # fmt: skip
MODULES = initializers, layers, losses, metrics, optimizers, regularizers, schedules
KINDS = sorted(
    {
        kind
        for module in MODULES
        for name, kind in vars(module).items()
        if isinstance(kind, type) and is_dataclass(kind) and not name.startswith("_")
        if not issubclass(kind, (Combinator, nn.Groups)) and kind is not optimizers.Optimizer
    },
    key=lambda kind: kind.__name__,
)


def arguments(kind: type) -> dict[str, Any]:
    made = {}
    for field in fields(kind):
        value = REQUIRED.get(field.name, field.default)
        if isinstance(value, (*PLAIN, tuple, str, nn.Optimizer)) or callable(value):
            made[field.name] = value
    return made


def as_numpy(value: Any, zero_dim: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(as_numpy(part, zero_dim) for part in value)
    if type(value) not in PLAIN:
        return value
    scalar = {bool: np.bool_, int: np.int64, float: np.float64}[type(value)](value)
    return np.asarray(scalar) if zero_dim else scalar


def numbers(value: Any) -> list[Any]:
    return [part for item in value for part in numbers(item)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("zero_dim", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_dataclass_converts_numpy_scalars_to_python_numbers(kind: type, zero_dim: bool) -> None:
    plain = arguments(kind)
    made = kind(**{name: as_numpy(value, zero_dim) for name, value in plain.items()})
    for field in fields(made):
        for number in numbers(getattr(made, field.name)):
            assert not isinstance(number, (np.generic, np.ndarray)), field.name
    assert made == kind(**plain)
    assert repr(made) == repr(kind(**plain))
    assert hash(made) == hash(kind(**plain))


def test_all_dataclasses_with_hyperparameters_are_tested() -> None:
    assert len(KINDS) > 50


@dataclass(frozen=True)
class Scale(nn.Layer):
    """A layer of a user's own, with a check that calls nothing of the library."""

    by: float

    def __post_init__(self) -> None:
        if type(self.by) is not float:
            raise TypeError("by must be a float")

    def __call__(self, params: Any, x: Any, key: Any = None) -> Any:
        return x * self.by, lambda dy, need_dx=True: (dy * self.by, {})


def test_a_custom_class_converts_numpy_scalars() -> None:
    assert type(Scale(np.float32(0.5)).by) is float
    assert type(replace(Scale(0.5), by=np.float64(2.0)).by) is float


@pytest.mark.parametrize("number", [np.longdouble(0.5), np.float16(0.5), np.int8(3), np.bool_(True), np.uint64(2)])
def test_every_numpy_dtype_becomes_a_python_number(number: Any) -> None:
    for convert in (python_number, held_number):
        assert type(convert(number)) in PLAIN
        assert convert(number) == number
    text = np.str_("relu")
    assert python_number(text) is text


#: blocks with a hyperparameter of NumPy's: float32 in, float32 out
ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
ONE = np.float64(1.0)
CALLS: dict[str, Any] = {
    "elu": lambda x: nn.elu(x, ONE),
    "leaky_relu": lambda x: nn.leaky_relu(x, np.float64(0.25)),
    "dropout": lambda x: nn.dropout(x, np.float64(0.5), nn.Key(np.int64(0)).fold_in(np.int64(3))),
    "layer_norm": lambda x: nn.layer_norm(x, x[0], x[0], np.float64(1e-5)),
    "batch_norm": lambda x: nn.batch_norm(
        x, *[x[0]] * 4, training=True, momentum=np.float64(0.9), epsilon=np.float64(1e-5)
    ),
    "huber": lambda x: nn.huber(x, x * 0, delta=ONE, total=np.float64(4)),
    "quantile": lambda x: nn.quantile(x, x * 0, q=np.float64(0.5), total=np.int64(4)),
    "focal": lambda x: nn.focal(x, x * 0, gamma=np.float64(2), alpha=np.float64(0.5)),
    "smoothing": lambda x: nn.softmax_cross_entropy(x, np.zeros(4, int), label_smoothing=np.float64(0.1)),
    "l1l2": lambda x: nn.L1L2(ONE, ONE)(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_blocks_keep_float32(name: str) -> None:
    value, backward = CALLS[name](ROWS)
    assert value.dtype == np.float32
    grads = backward(ROWS if getattr(value, "shape", ()) else ONE)
    for grad in grads if isinstance(grads, tuple) else (grads,):
        assert grad.dtype == np.float32


IMAGE, KERNEL, SERIES = ROWS.reshape(1, 4, 3, 1), np.ones((1, 1, 1, 2), np.float32), ROWS.reshape(1, 4, 3)
#: blocks called by hand, with all else in order : the dataclass with the same hyperparameters
BY_HAND: dict[Any, tuple[Any, Any]] = {
    nn.dropout: (lambda rate: nn.dropout(ROWS, rate, None), nn.Dropout),
    nn.elu: (lambda alpha: nn.elu(ROWS, alpha), nn.ELU),
    nn.leaky_relu: (lambda slope: nn.leaky_relu(ROWS, slope), nn.LeakyReLU),
    nn.layer_norm: (lambda epsilon: nn.layer_norm(ROWS, ROWS[0], ROWS[0], epsilon), nn.LayerNorm),
    nn.rms_norm: (lambda epsilon: nn.rms_norm(ROWS, ROWS[0], epsilon), nn.RMSNorm),
    nn.group_norm: (
        lambda groups=1, epsilon=1e-5: nn.group_norm(ROWS, ROWS[0], ROWS[0], groups, epsilon),
        lambda groups=1, **given: nn.GroupNorm(groups, **given),
    ),
    nn.batch_norm: (lambda **given: nn.batch_norm(ROWS, *[ROWS[0]] * 4, training=True, **given), nn.BatchNorm),
    nn.reshape: (lambda shape: nn.reshape(ROWS, shape), nn.Reshape),
    nn.permute: (lambda axes: nn.permute(ROWS, axes), nn.Permute),
    nn.conv1d: (
        lambda **given: nn.conv1d(SERIES, np.ones((1, 3, 2)), np.ones(2), **given),
        lambda **given: nn.Conv1D(2, 1, **given),
    ),
    nn.conv2d: (
        lambda **given: nn.conv2d(IMAGE, KERNEL, np.ones(2), **given),
        lambda **given: nn.Conv2D(2, 1, **given),
    ),
    nn.max_pool1d: (lambda **given: nn.max_pool1d(SERIES, 2, **given), nn.MaxPool1D),
    nn.max_pool2d: (lambda **given: nn.max_pool2d(IMAGE, 2, **given), nn.MaxPool2D),
    nn.average_pool1d: (lambda **given: nn.average_pool1d(SERIES, 2, **given), nn.AveragePool1D),
    nn.average_pool2d: (lambda **given: nn.average_pool2d(IMAGE, 2, **given), nn.AveragePool2D),
    nn.rnn: (
        lambda reverse: nn.rnn(SERIES, np.ones((3, 2)), np.ones((2, 2)), np.ones(2), reverse=reverse),
        lambda reverse: nn.RNN(2, reverse=reverse),
    ),
    nn.lstm: (
        lambda reverse: nn.lstm(SERIES, np.ones((3, 8)), np.ones((2, 8)), np.ones(8), reverse=reverse),
        lambda reverse: nn.LSTM(2, reverse=reverse),
    ),
    nn.gru: (
        lambda reverse: nn.gru(SERIES, np.ones((3, 6)), np.ones((2, 6)), np.ones(6), np.ones(6), reverse=reverse),
        lambda reverse: nn.GRU(2, reverse=reverse),
    ),
    nn.scaled_dot_product_attention: (
        lambda **given: nn.scaled_dot_product_attention(SERIES, SERIES, SERIES, **given),
        lambda **given: nn.MultiHeadAttention(1, **given),
    ),
    nn.huber: (lambda delta: nn.huber(ROWS, ROWS, delta=delta), nn.Huber),
    nn.quantile: (lambda q: nn.quantile(ROWS, ROWS, q=q), nn.Quantile),
    nn.focal: (lambda **given: nn.focal(ROWS, ROWS > 0, **given), nn.Focal),
    nn.softmax_cross_entropy: (
        lambda label_smoothing: nn.softmax_cross_entropy(ROWS, np.zeros(4, int), label_smoothing=label_smoothing),
        nn.SoftmaxCrossEntropy,
    ),
}  # fmt: skip
#: what a hyperparameter of this name may not be, nor None or a text where it is a number
OUT_OF_RANGE: dict[str, tuple[Any, ...]] = {
    "rate": (-0.1, 1.0, 1.5, np.float64(1.0), np.nan), "dropout": (-0.1, 1, np.float32(1.0), np.nan),
    "alpha": (-0.1, np.inf, np.nan), "slope": (-0.1, 1.1, np.nan), "gamma": (-1, np.inf, np.nan),
    "epsilon": (0.0, -1e-5, np.inf, np.nan), "momentum": (-0.1, 1.0, np.nan), "delta": (0, -1, np.inf, np.nan),
    "q": (0, 1, 1.5, np.nan), "label_smoothing": (-0.1, 1.1, np.nan), "groups": (0, -1, 1.5, True),
    "strides": (0, (1, 1, 1), 1.5), "dilation": (0, (1, 1, 1), 1.5), "padding": (-1, "SAME", None),
    "shape": ((-1, -1), (-2,), (1.5, 2), "ab", 3, [3, 1]), "axes": ((0,), (2,), (1, 1), "1", [1]),
    "reverse": (1, "yes", None), "causal": (1, "yes", None),
}  # fmt: skip
TEXTS = dict.fromkeys(("rate", "slope", "gamma", "epsilon", "momentum", "delta", "q"), "0.5")
#: arguments of a block that its dataclass has too and takes as they are
UNCHECKED = {"ignore_label"}
PACKAGES = "arraynn.layers", "arraynn.losses"


def numbers_of(block: Any) -> set[str]:
    """The hyperparameters that a block and its dataclass take by one name; arrays go by place, as attention's q."""
    held = {field.name for kind in KINDS if kind.__module__.startswith(PACKAGES) for field in fields(kind)}
    arrays = {name for name, one in inspect.signature(block).parameters.items() if "Array" in str(one.annotation)}
    return held & set(inspect.signature(block).parameters) - arrays - UNCHECKED


def test_every_function_with_hyperparameters_is_tested() -> None:
    blocks = [block for name in nn.__all__ if inspect.isfunction(block := getattr(nn, name))]
    for block in (block for block in blocks if block.__module__.startswith(PACKAGES)):
        named = numbers_of(block)
        assert not named or block in BY_HAND, f"{block.__name__} takes {named}: add it to BY_HAND"
        assert named <= set(OUT_OF_RANGE), f"add the values that {block.__name__} refuses to OUT_OF_RANGE"


@pytest.mark.parametrize("block", BY_HAND, ids=lambda block: block.__name__)
def test_a_function_refuses_hyperparameters_with_the_message_of_its_dataclass(block: Any) -> None:
    by_hand, dataclass_of = BY_HAND[block]
    for name in numbers_of(block):
        for value in OUT_OF_RANGE[name]:
            with pytest.raises((TypeError, ValueError)) as held:
                dataclass_of(**{name: value})
            answer = str(held.value).partition(";")[0]  # a recurrent layer says more: what PyTorch's order means
            with pytest.raises(held.type, match=f"^{re.escape(answer)}$"):
                by_hand(**{name: value})
        if name in TEXTS:
            with pytest.raises(TypeError, match=f"{name} .*, got '0.5'; give 0.5$"):
                by_hand(**{name: TEXTS[name]})


def test_a_mask_of_a_key_has_a_rate_below_one() -> None:
    with pytest.raises(ValueError, match=r"rate is the probability of dropping and must lie in \[0, 1\), got 1\.0"):
        nn.Key(0).keep((2, 3), 1.0, like=ROWS)


def test_a_model_with_numpy_scalars_equals_one_with_python_numbers(tmp_path: Any) -> None:
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    y = (x[:, 0] > 0).astype(int)

    def trained(f: Any, i: Any, **options: Any) -> nn.Model:
        network = nn.Sequential(
            nn.Dense(i(5), weight_regularizer=nn.L2(f(1e-3))), nn.ELU(f(1.0)), nn.BatchNorm(f(0.9), f(1e-5)),
            nn.Dropout(f(0.25)), nn.Dense(i(2), weight_initializer=nn.initializers.normal(f(0.1))),
        )  # fmt: skip
        rate = nn.LinearWarmup(nn.InverseTimeDecay(f(0.05), f(1e-2)), i(3))
        loss = nn.SoftmaxCrossEntropy(label_smoothing=f(0.1))
        model = nn.Model(network, loss, nn.Adam(rate, f(0.9)), backend="numpy", clip_norm=f(1.0), seed=i(3))
        callbacks = [
            nn.EarlyStopping("loss", patience=i(9), min_delta=f(0.0)),
            nn.ReduceLROnPlateau("loss", f(0.5), i(1), f(1.0), min_learning_rate=f(1e-4)),
            nn.Checkpoint(tmp_path / "run", every=i(2)),
        ]
        model.fit(
            x, y, epochs=i(3), batch_size=i(16), validation_freq=i(1), validation_split=f(0.25), verbose=i(0),
            callbacks=callbacks, **options,
        )  # fmt: skip
        return model

    plain = trained(float, int)
    assert trained(np.float64, np.int64).history == plain.history
    again = trained(np.float64, np.int64, resume=tmp_path / "run")
    assert again.history == plain.history
    for a, b in zip(nn.tree.leaves(again.params), nn.tree.leaves(plain.params), strict=True):
        assert a.dtype == np.float32
        assert np.array_equal(a, b)


def test_a_custom_schedule_may_return_numpy_scalars() -> None:
    params = {"w": np.ones(2, "float32")}
    optimizer = nn.Adam(lambda step: np.float64(0.1) / (step + 1))
    params, _ = optimizer.update(params, {"w": np.ones(2, "float32")}, optimizer.init(params))
    assert params["w"].dtype == np.float32
    assert type(optimizer.scalars(0)["lr"]) is float


def test_averages_and_groups_take_numpy_scalars() -> None:
    for optimizer in (
        nn.EMA(nn.SGD(0.1), np.float64(0.5), learning_rate=np.float64(0.2)),
        nn.SWA(nn.SGD(0.1), np.int64(0), np.int64(2), learning_rate=np.float64(0.2)),
        nn.Groups(nn.SGD(0.1), {"*": nn.SGD(0.3)}, learning_rate=np.float64(0.2)),
    ):
        assert type(optimizer.learning_rate) is float
        assert not [value for value in vars(optimizer).values() if isinstance(value, np.generic)]
    assert type(Scaled(np.float64(0.5), np.float64(0.5))(0)) is float
    assert type(nn.PiecewiseConstant(np.asarray([2]), np.asarray([0.5, 0.25])).values[0]) is float


def test_an_update_rule_that_reads_learning_rate_is_refused_with_the_remedy() -> None:
    @dataclass(frozen=True)
    class Own(nn.Optimizer):
        def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
            return p - self.learning_rate * g, {}  # 0 in a step, so nothing was ever learned

    network, optimizer = nn.Sequential(nn.Dense(1)), Own(0.5)
    params, _ = network.init(np.random.default_rng(0), (2,))
    step = nn.make_train_step(network, nn.mean_squared_error, optimizer)
    batch = np.ones((3, 2), "float32"), np.ones((3, 1), "float32"), None
    with pytest.raises(TypeError, match=r"cannot read self.learning_rate in update_one.*c\['lr'\]"):
        step(params, optimizer.init(params), batch, nn.Key(0))
    updated, _ = optimizer.update({"w": np.ones(1)}, {"w": np.ones(1)}, optimizer.init({"w": np.ones(1)}))
    assert updated["w"] == 0.5  # by itself it is right
