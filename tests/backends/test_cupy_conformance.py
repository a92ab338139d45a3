"""The calls of every training step, written down on the recording stand-in and then held against the real CuPy, which
needs no GPU to tell its functions, their signatures and their dtypes. And: what a step of each kind asks of a GPU."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn.backends import Backend
from arraynn.backends.cupy import capture
from arraynn.backends.cupy.backend import CuPy
from arraynn.training import loop
from arraynn.training.dataset import shape_of_rows
from tests import every_loss
from tests.backends import recording
from tests.backends.recording import CALLS, Call, Synchronizes
from tests.backends.test_cuda_kernels import RULES, needs_compiler

RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, 6)).astype("float32")
LABELS = RNG.integers(0, 3, 8)
VALUES = RNG.standard_normal((8, 3)).astype("float32")

#: layers that need arguments, or a place of their own; of the others each is tried as it is
LAYERS: dict[str, nn.Layer] = {
    **{kind.__name__: kind() for kind in nn.layers.named_activations().values()},
    "BatchNorm": nn.BatchNorm(), "Concatenate": nn.Concatenate(nn.Dense(2), nn.ReLU()), "Dense": nn.Dense(4),
    "Dropout": nn.Dropout(0.3), "Embedding": nn.Embedding(10, 4), "Flatten": nn.Flatten(),
    "LayerNorm": nn.LayerNorm(), "Parallel": nn.Parallel(nn.Dense(2), nn.Embedding(10, 4)),
    "Residual": nn.Residual(nn.Dense(4), nn.Tanh()), "Sequential": nn.Sequential(nn.Dense(5), nn.ReLU()),
    "Softmax": nn.Softmax(),
}  # fmt: skip
#: every loss with targets of its own domain; here those that are tried with other hyperparameters or targets
LOSSES: dict[str, tuple[nn.Loss, np.ndarray]] = {
    **{name: (loss, every_loss.targets(loss, RNG, (8, 3))) for name, loss in every_loss.EVERY.items()},
    "KLDivergence": (nn.KLDivergence(), np.eye(3, dtype="float32")[LABELS]),
    "Quantile": (nn.Quantile(0.3), VALUES),
    "SoftmaxCrossEntropy": (nn.SoftmaxCrossEntropy(label_smoothing=0.1, ignore_label=-1), LABELS),
}


def steps(network: Any, loss: Any, y: np.ndarray, rule: Any = None, x: np.ndarray = X, **options: Any) -> list[Call]:
    """The calls of three training steps."""
    with recording.recording() as gpu:
        trained(gpu, network, loss, y, rule, x, **options)
        return list(CALLS)


def prepared(backend: Any, network: Any, loss: Any, y: Any, rule: Any = None, x: Any = X, **options: Any) -> Any:
    """(step, params, state, (x, targets), sample weights): data moved, weights drawn."""
    model = nn.Model(network, loss, rule, backend=backend, **options).build(shape_of_rows(x))
    backend = model.backend
    limits = {"clip_norm": model.clip_norm, "clip_value": model.clip_value}
    step = nn.make_train_step(network, loss, model.optimizer, **limits, metrics=model.metrics)
    whole, apart = model.integer_input, isinstance(x, tuple)
    whole = whole if isinstance(whole, tuple) or not apart else [whole] * len(x)
    parts = zip(x, whole, strict=True) if apart else [(x, whole)]
    moved = tuple(backend.asarray(part, backend.index_dtype if one else "float32") for part, one in parts)
    rows = moved if apart else moved[0]
    targets = backend.asarray(y, "float32" if y.dtype.kind == "f" else backend.index_dtype)
    weights = backend.asarray(np.linspace(0, 1, len(y)), "float32")
    return step, model.params, model.state, (rows, targets), weights


def trained(*args: Any, **options: Any) -> Any:
    """(params, state, logs) after three steps, with and without sample weights. CALLS is emptied before the first."""
    step, params, state, batch, weights = prepared(*args, **options)
    logs: Any = {}
    CALLS.clear()
    with np.errstate(all="ignore"):
        for weight in (None, weights, None):
            params, state, logs = step(params, state, (*batch, weight), nn.Key(0))
    return params, state["slots"], logs


def around(layer: Any) -> Any:
    """A network in which the layer has something to differentiate, before it and behind."""
    if isinstance(layer, nn.Embedding | nn.Parallel):
        return nn.Sequential(layer, nn.Dense(3))
    return nn.Sequential(nn.Dense(4), layer, nn.Dense(3))


def with_loss(name: str) -> Any:
    loss, y = LOSSES[name]
    last = [nn.Softmax() if loss.targets == "classes" else nn.Sigmoid()] if loss.outputs == "probabilities" else []
    return nn.Sequential(nn.Dense(3), *last), loss, y


RUNS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {  # arguments of `steps`
    **{
        name: ((around(layer), nn.softmax_cross_entropy, LABELS, nn.SGD(0.1, momentum=0.9)), {})
        for name, layer in LAYERS.items()
    },
    # not Adam, which makes a step of a gradient that is 0 but for its rounding, as a sum of signs may be
    **{name: ((*with_loss(name), nn.SGD(0.1, momentum=0.9)), {}) for name in LOSSES},
    **{str(rule): ((nn.Dense(3), nn.mean_squared_error, VALUES, rule), {}) for rule in RULES},
}
RUNS["Embedding"][1]["x"] = RNG.integers(0, 10, 8)
RUNS["Parallel"][1]["x"] = (VALUES, RNG.integers(0, 10, 8))
RUNS["Groups"] = (nn.Dense(3), nn.mean_squared_error, VALUES, nn.Groups(nn.Adam(), {"bias": nn.SGD(momentum=0.9)})), {}
RUNS["penalties and clipping"] = (
    (nn.Dense(3, weight_regularizer=nn.L1L2(1e-3, 1e-3), bias_regularizer=nn.L2(1e-3)), nn.mean_squared_error, VALUES),
    {"clip_norm": 1.0, "clip_value": 0.5, "metrics": ["r2", "regression_accuracy"]},
)


IMAGES = RNG.standard_normal((8, 6, 5, 2)).astype("float32")
SERIES = RNG.standard_normal((8, 6, 4)).astype("float32")


def of_images(*layers: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return _run(nn.Sequential(nn.Conv2D(4, 1), *layers, nn.Flatten(), nn.Dense(3)), IMAGES)


def of_series(*layers: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return _run(nn.Sequential(nn.Conv1D(4, 1), *layers, nn.Flatten(), nn.Dense(3)), SERIES)


def _run(network: Any, x: np.ndarray) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (network, nn.softmax_cross_entropy, LABELS, nn.SGD(0.1, momentum=0.9)), {"x": x}


RUNS |= {
    "AveragePool1D": of_series(nn.AveragePool1D(3, padding="same")),
    "AveragePool2D": of_images(nn.AveragePool2D(3, strides=2, padding=1)),
    "Conv1D": of_series(nn.Conv1D(4, 3, padding="same", dilation=2)),
    "Conv2D": of_images(nn.Conv2D(6, 3, strides=2, padding="same", groups=2)),
    "Bidirectional": of_series(nn.Bidirectional(nn.GRU(3, return_sequences=True))),
    "Freeze": of_images(nn.Freeze(nn.Sequential(nn.Dense(3), nn.BatchNorm()))),
    "GRU": of_series(nn.GRU(3)),
    "GroupNorm": of_images(nn.GroupNorm(2)),
    "GlobalAveragePool": of_images(nn.GlobalAveragePool()),
    "GlobalMaxPool": of_images(nn.GlobalMaxPool()),
    "LSTM": of_series(nn.LSTM(3, return_sequences=True)),
    "MaxPool1D": of_series(nn.MaxPool1D(3, padding="same")),
    "MaxPool2D": of_images(nn.MaxPool2D(3, strides=2, padding=1)),
    "MultiHeadAttention": of_series(nn.MultiHeadAttention(2, causal=True, dropout=0.2)),
    "Permute": of_images(nn.Permute((2, 3, 1))),
    "PositionalEmbedding": of_series(nn.PositionalEmbedding(7), nn.PositionalEmbedding(6, "sinusoidal")),
    "RNN": of_series(nn.RNN(3)),
    "RMSNorm": of_series(nn.RMSNorm()),
    "Reshape": of_images(nn.Reshape((10, -1)), nn.Dense(3)),
}


@cache
def calls_of(run: str) -> tuple[Call, ...]:
    """Of fused steps, and of those that run as they are, as blocks do in other people's hands."""
    args, options = RUNS[run]
    calls = steps(*args, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CuPy, "compile", Backend.compile)
        calls += steps(*args, **options)
    return tuple(dict.fromkeys(calls))


pytestmark = needs_compiler
every_run = pytest.mark.parametrize("run", RUNS)


# ---------------------------------------------------------------- without CuPy


@every_run
def test_a_training_step_waits_for_nothing_and_stays_in_float32(run: str) -> None:
    calls = calls_of(run)  # Synchronizes, or an AssertionError, says what does not
    assert {"generated kernel", "matmul"} & {call.function for call in calls}
    assert "float64" not in {call.result for call in calls}


def test_every_layer_loss_and_optimizer_is_recorded() -> None:
    bases = {"Activation", "ClassLoss", "Domain", "FunctionLoss", "Layer", "Loss", "Optimizer", "Groups"}
    for package, recorded in (
        ("layers", RUNS),
        ("losses", LOSSES),
        ("optimizers", [type(rule).__name__ for rule in RULES]),
    ):
        public = {name for name in getattr(nn, package).__all__ if name[0].isupper()}
        lacking = sorted(public - bases - set(recorded))
        assert not lacking, f"give {', '.join(lacking)} a place in the table of {package} above (LAYERS, LOSSES, RULES)"


def dense(*widths: int) -> nn.Sequential:
    hidden = [layer for width in widths[:-1] for layer in (nn.Dense(width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Dense(widths[-1]))


def asked_in_a_fit(network: Any, rows: int, features: int, batch: int | None, **options: Any) -> list[str]:
    """What the last step of a fit starts, but for what is fetched ten times a second."""
    found: list[list[str]] = []

    class Watch(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model: Any) -> None:
            found.append([call.function for call in CALLS if not call.free])
            CALLS.clear()

    with recording.recording() as gpu, pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "FETCH_SECONDS", 1e9)
        patch.setattr(capture, "AFTER", math.inf)
        model = nn.Model(network, optimizer=nn.Adam(), backend=gpu, **options)
        x, labels = np.zeros((rows, features), "float32"), np.arange(rows) % 3
        model.fit(x, labels, epochs=3, batch_size=batch, callbacks=[Watch()], verbose=0)
    return found[-1]


@pytest.mark.parametrize("metrics", [[], ["accuracy"]])
def test_a_step_of_the_spiral_is_ten_launches(metrics: list[str]) -> None:
    """Five products; bias and ReLU; loss and its gradient; the mask with the bias gradients; the loss; Adam."""
    asked = asked_in_a_fit(dense(64, 3), 300, 2, None, metrics=metrics)
    assert sorted(asked) == sorted(["matmul"] * 5 + ["fused kernel"] * 4 + ["generated kernel"])


@pytest.mark.parametrize("metrics", [[], ["accuracy"]])
def test_a_step_of_the_mnist_network_is_fifteen_launches_and_its_batch_two(metrics: list[str]) -> None:
    """Of the data on the GPU; forward, loss, backward, Adam: eight products, and seven kernels of ours."""
    asked = asked_in_a_fit(dense(512, 512, 10), 512, 784, 128, metrics=metrics)
    assert asked[:2] == ["take", "take"]
    assert sorted(asked[2:]) == sorted(["matmul"] * 8 + ["fused kernel"] * 6 + ["generated kernel"])


@pytest.mark.parametrize(
    "leak",
    [float, bool, int, list, len, np.asarray, np.exp, lambda x: x[x > 0], lambda x: x.item(), lambda x: x + np.ones(3)],
)
def test_a_transfer_in_a_block_is_seen(leak: Any) -> None:
    """A silent trip to the host, put into a block: the step raises."""

    def block(x: Any) -> Any:
        leak(x)
        return x, lambda dy: dy

    class Leaking(nn.Identity):
        def function(self, x: Any, /) -> Any:
            return block(x)

    with pytest.raises(TypeError):
        steps(nn.Sequential(nn.Dense(3), Leaking()), nn.mean_squared_error, VALUES)


def test_a_numpy_scalar_in_a_formula_is_seen() -> None:
    class Scaling(nn.Identity):
        def function(self, x: Any, /) -> Any:
            return x * np.float32(2), lambda dy: dy * 2

    with pytest.raises(AssertionError, match="NumPy scalar"):
        steps(nn.Sequential(nn.Dense(3), Scaling()), nn.mean_squared_error, VALUES)


def test_fit_evaluate_and_predict_run_on_the_cupy_backend_as_on_numpy() -> None:
    """The whole of Model on the real CuPy backend, over the stand-in's arrays: same numbers, answers in NumPy."""
    network = nn.Sequential(nn.Dense(16), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))

    def run(backend: Any) -> Any:
        model = nn.Model(network, optimizer=nn.Adam(0.01), backend=backend)
        history = model.fit(X, LABELS, epochs=3, batch_size=3, validation_split=0.25, verbose=0)
        return history, model.evaluate(X, LABELS), model.predict(X), model.predict_proba(X)

    with recording.recording() as gpu:
        history, figures, labels, probabilities = run(gpu)
    want = run("numpy")
    assert history.keys() == want[0].keys()
    for name, values in want[0].items():
        assert history[name] == pytest.approx(values, rel=1e-5)
    assert figures == pytest.approx(want[1], rel=1e-5)
    np.testing.assert_array_equal(labels, want[2])
    np.testing.assert_allclose(probabilities, want[3], rtol=1e-5)
    assert {type(labels), type(probabilities)} == {np.ndarray}


# ---------------------------------------------------------------- against the real CuPy


@pytest.fixture(scope="module")
def cupy() -> Any:
    return pytest.importorskip("cupy", reason='pip install "arraynn[cuda13]"; no GPU is needed')


def problem(call: Call, cupy: Any) -> str:
    """What the real CuPy would not take in this call, or ""."""
    import array_api_compat.cupy as xp

    if call.function in ("generated kernel", "fused kernel", "load", "store", "graph", "getitem", "setitem"):
        return ""
    if call.function == "as_strided":
        return "" if callable(cupy.lib.stride_tricks.as_strided) else "CuPy has no strided views"
    if call.function == "view":  # a method, which the standard has no function for
        return "" if callable(getattr(cupy.ndarray, "view", None)) else "CuPy's arrays have no such method"
    function = getattr(xp, call.function, None)
    if function is None:
        return "array_api_compat.cupy has no such function"
    if isinstance(function, (cupy.ufunc, type(cupy.matmul))):
        return _ufunc_problem(call, function) if hasattr(function, "types") else ""
    named = dict.fromkeys(key for key, _ in call.kwargs)
    try:
        inspect.signature(function).bind(*call.args, **named)
        own = getattr(cupy, call.function, None)
        swallows = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
        if own is not None and swallows and inspect.isfunction(own):
            known = {*inspect.signature(function).parameters, *inspect.signature(own).parameters}
            assert set(named) <= known, f"unknown keywords {set(named) - known}"
    except (TypeError, AssertionError) as error:
        return str(error)
    return ""


def _ufunc_problem(call: Call, function: Any) -> str:
    """CuPy takes the first of its types that all arguments can be cast to; a Python number takes the array's dtype."""
    if len(call.args) != function.nin:
        return f"it takes {function.nin} arguments, got {len(call.args)}"
    if call.kwargs:
        return f"keywords {call.kwargs}"
    arrays = [np.dtype(arg[1]) for arg in call.args if arg[0] == "array"]
    example = {"int": 1, "float": 1.0, "bool": True}
    common = np.result_type(*arrays, *(example[arg[0]] for arg in call.args if arg[0] != "array"))
    given = [np.dtype(arg[1]) if arg[0] == "array" else common for arg in call.args]
    for types in function.types:
        takes, makes = types.split("->")
        if all(np.can_cast(dtype, char) for dtype, char in zip(given, takes, strict=True)):
            made = np.dtype(makes[0]).name
            return "" if made == call.result else f"it makes {made}, NumPy {call.result}"
    return f"its types {function.types} do not take {given}"


@every_run
def test_cupy_takes_every_call_of_a_training_step(cupy: Any, run: str) -> None:
    problems = {call: problem(call, cupy) for call in calls_of(run)}
    assert {call: said for call, said in problems.items() if said} == {}


@pytest.mark.parametrize(
    "call",
    [
        Call("spacing", (("array", "float32", 1),), (), "float32", False),  # NumPy's alone
        Call("sum", (("array", "float32", 1),), (("where", ("bool",)),), "float32", False),
        Call("concat", (("tuple",), ("int",), ("NoneType",), ("dtype", "float32")), (), "float32", False),
        Call("left_shift", (("array", "float32", 1), ("int",)), (), "float32", False),
        Call("add", (("array", "float32", 1), ("float",)), (), "float64", False),
        Call("zeros", (("tuple",),), (("like", ("NoneType",)),), "float32", False),
    ],
    ids=lambda call: call.function,
)
def test_a_call_that_cupy_does_not_take_is_seen(cupy: Any, call: Call) -> None:
    assert problem(call, cupy)


def test_cupys_arrays_have_every_operator_that_blocks_may_use(cupy: Any) -> None:
    missing = [
        f"__{name}__"
        for name in [*recording.BINARY, "neg", "abs", "pos", "invert"]
        if not hasattr(cupy.ndarray, f"__{name}__")
    ]
    assert missing == []


def test_the_stand_in_waits_where_it_says() -> None:
    with recording.recording() as gpu:
        x = gpu.asarray(X)
        for name in recording.WAITS:
            with pytest.raises((Synchronizes, TypeError)):
                getattr(gpu.xp, name)(x, *([0, 1] if name == "clip" else [2] if name == "repeat" else []))


def test_the_table_of_what_is_proved_is_what_the_tests_say() -> None:
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, root / "ci" / "proved", "--check"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
