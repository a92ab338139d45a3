"""Models on the second of two GPUs while the first is the current one, on the recording stand-in: whatever is asked of
an array elsewhere than on its GPU raises there. Every entry point makes the GPU the current one, and puts it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends.cupy.backend import CuPy
from tests.backends import recording
from tests.backends.recording import WrongDevice
from tests.backends.test_cuda_kernels import needs_compiler
from tests.backends.test_cupy_conformance import LABELS, X

pytestmark = needs_compiler

HIDDEN = nn.Dense(4, weight_regularizer=nn.L2(1e-3))
NETWORK = nn.Sequential(HIDDEN, nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.2), nn.Dense(3))
WEIGHTS = np.linspace(0.5, 1.5, 8, dtype="float32")
OPTIONS = {"epochs": 2, "batch_size": 3, "validation_split": 0.25, "verbose": 0}

Put = Callable[[np.ndarray], Any]


@pytest.fixture
def second() -> Iterator[CuPy]:
    with recording.recording(number=1) as gpu:
        yield gpu
        assert recording.Device.current == [0]


@pytest.fixture(params=["NumPy's data", "data on that GPU", "data on the other GPU"])
def put(request: pytest.FixtureRequest, second: CuPy) -> Put:
    if request.param == "data on the other GPU":
        return CuPy(second.xp, recording.Device(0)).asarray
    return second.asarray if request.param == "data on that GPU" else lambda array: array


def model_on(backend: Any) -> nn.Model:
    # in front of a BatchNorm a bias's gradient is nothing but rounding, which a small epsilon would make steps of
    return nn.Model(NETWORK, optimizer=nn.Adam(0.01, epsilon=1e-3), backend=backend, clip_norm=1.0)


def on_second(model: nn.Model) -> bool:
    return {leaf.device.id for leaf in tree.leaves([model.params, model.state["slots"]])} == {1}


def test_fit_and_evaluate_stay_on_the_models_gpu(second: CuPy, put: Put) -> None:
    model, host = model_on(second), model_on("numpy")
    more = {"class_weight": "balanced", **OPTIONS}
    history = model.fit(put(X), put(LABELS), sample_weight=put(WEIGHTS), **more)
    want = host.fit(X, LABELS, sample_weight=WEIGHTS, **more)
    for name, values in want.items():
        assert history[name] == pytest.approx(values, rel=1e-4)
    assert on_second(model)
    assert model.evaluate(put(X), put(LABELS)) == pytest.approx(host.evaluate(X, LABELS), rel=1e-4)


def test_answers_are_given_where_x_was(second: CuPy, put: Put) -> None:
    model, host = model_on(second).build((6,)), model_on("numpy").build((6,))
    x = put(X)
    for ask in (nn.Model.__call__, nn.Model.predict, nn.Model.predict_proba):
        answer = ask(model, x)
        assert getattr(answer, "device", None) == getattr(x, "device", None)
        np.testing.assert_allclose(recording.bare(answer), ask(host, X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["mean_squared_error", "sigmoid_cross_entropy", "softmax_cross_entropy"])
def test_targets_of_each_kind_are_looked_at_where_they_are(second: CuPy, put: Put, loss: str) -> None:
    targets = {
        "mean_squared_error": WEIGHTS,
        "sigmoid_cross_entropy": (LABELS > 0).astype("float32"),
        "softmax_cross_entropy": np.eye(3, dtype="float32")[LABELS],
    }[loss]
    model = nn.Model(nn.Dense(3 if targets.ndim == 2 else 1), getattr(nn, loss), backend=second)
    assert np.isfinite(model.fit(put(X), put(targets), verbose=0)["loss"]).all()


def test_a_model_goes_where_its_data_are(second: CuPy) -> None:
    model = model_on("auto")
    model.fit(second.asarray(X), second.asarray(LABELS), verbose=0)
    assert model.backend.device.id == 1
    assert on_second(model)


def test_batches_of_an_iterable_go_there(second: CuPy) -> None:
    model = model_on(second)
    model.fit([(X, LABELS), (second.asarray(X), second.asarray(LABELS))], epochs=2, verbose=0)
    assert on_second(model)


def test_models_are_saved_loaded_moved_and_given_weights_there(second: CuPy, tmp_path: Path) -> None:
    model = model_on(second)
    model.fit(X, LABELS, **OPTIONS)
    model.save(tmp_path / "model.safetensors")
    loaded = nn.Model.load(tmp_path / "model.safetensors", backend=second)
    assert on_second(loaded)
    loaded.params = tree.map(second.to_numpy, loaded.params)
    assert on_second(loaded)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert on_second(loaded.to("numpy").to(second))
    loaded.fit(X, LABELS, **OPTIONS)


def test_a_run_that_diverges_is_replayed_there(second: CuPy) -> None:
    model = nn.Model(nn.Dense(1), nn.mean_squared_error, nn.SGD(1e30), backend=second)
    with np.errstate(all="ignore"), pytest.raises(nn.DivergedError):  # NumPy is inside of the stand-in
        model.fit(X, WEIGHTS, epochs=5, verbose=0)


def test_explanations_and_comparisons_are_made_there(second: CuPy) -> None:
    model = model_on(second).build((6,))
    assert "softmax" in str(model.explain(X, LABELS)).lower()
    assert nn.testing.check_backends(model, X, LABELS, ["numpy", second]).worst.relative < 1e-5


def test_a_step_on_bare_arrays_goes_where_they_are(second: CuPy) -> None:
    """`update` and the step enter the GPU by themselves; what else is done with bare arrays is its caller's."""
    params, _ = NETWORK.init(np.random.default_rng(0), (6,))
    params, optimizer = nn.put(params, like=second.asarray(X)), nn.Adam()
    with pytest.raises(WrongDevice, match="on GPU 1 while GPU 0 is the current one"):
        optimizer.init(params)
    with second.context():
        state = optimizer.init(params)
    step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer)
    params, state, _ = step(params, state, (second.asarray(X), second.asarray(LABELS), None), nn.Key(0))
    grads = nn.put(params, like=second.asarray(X))
    params, state = optimizer.update(params, grads, state)
    assert {leaf.device.id for leaf in tree.leaves([params, state["slots"]])} == {1}
