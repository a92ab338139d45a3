"""A model trained on one backend goes on on every other: the same bits of weights, equal predictions, the same run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from tests.conftest import BACKENDS, dpnp_status

X, Y = nn.datasets.spiral(12, 3)
NETWORK = nn.Sequential(
    nn.Dense(8, weight_regularizer=nn.L2(1e-3)),
    nn.Residual(nn.Dense(8), nn.BatchNorm()),
    nn.Concatenate(nn.Identity(), nn.Tanh()),
    nn.Dropout(0.2),
    nn.Dense(3),
)
BOUND = {"float32": 1e-5, "float64": 1e-13}  #: what the sums of this network may differ by, taken in another order


@pytest.fixture(params=BACKENDS)
def other(request: pytest.FixtureRequest) -> str:
    """Each backend in turn, beside `backend`."""
    if request.param == "dpnp" and not dpnp_status().usable:
        pytest.skip(dpnp_status().reason)
    name: str = request.param
    return name


@pytest.fixture(params=BOUND)
def dtype(backend: str, other: str, request: pytest.FixtureRequest) -> str:
    if "jax" in (backend, other):
        request.getfixturevalue("jax_x64")
    name: str = request.param
    return name


def made(backend: str, dtype: str) -> Any:
    rule = nn.Adam(nn.InverseTimeDecay(0.02, decay=0.01))
    return nn.Model(NETWORK, optimizer=rule, backend=backend, dtype=dtype, clip_norm=1.0, seed=3)


@cache
def trained(backend: str, dtype: str) -> Any:
    model = made(backend, dtype)
    model.fit(X, Y, epochs=3, batch_size=7, validation_data=(X, Y), verbose=0)
    return model


def test_a_model_trained_on_one_backend_predicts_the_same_on_another(backend, other, dtype, tmp_path):
    here = trained(backend, dtype)
    here.save(tmp_path / "here")
    there = nn.Model.load(tmp_path / "here", backend=other)
    assert there.backend.name == nn.backend(other).name
    np.testing.assert_allclose(there(X), here(X), rtol=BOUND[dtype], atol=BOUND[dtype])
    np.testing.assert_array_equal(there.predict(X), here.predict(X))
    there.save(tmp_path / "there")  # weights, optimizer state and history have lost no bit on the way
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    back = nn.Model.load(tmp_path / "there", backend=backend)
    np.testing.assert_array_equal(back(X), here(X))


class Killed(BaseException):
    """What nobody catches."""


class Kill(nn.Callback):
    """Ends the run in the middle of its second epoch."""

    every_epoch = False

    def on_batch_end(self, model: Any) -> None:
        if model.step == 8:
            raise Killed


def run(path: Path, backend: str, dtype: str, *callbacks: nn.Callback, resume: bool = False) -> Any:
    model = made(backend, dtype)
    watchers = [nn.EarlyStopping("loss"), nn.Checkpoint(path, 1), *callbacks]
    model.fit(X, Y, epochs=3, batch_size=7, callbacks=watchers, verbose=0, resume=path if resume else None)
    return model


@cache
def straight(dtype: str, folder: Path) -> dict[str, list[float]]:
    history: dict[str, list[float]] = run(folder / "straight", "numpy", dtype).history
    return history


def test_a_run_killed_on_one_backend_resumes_on_another(backend, other, dtype, tmp_path, tmp_path_factory):
    expected = straight(dtype, tmp_path_factory.getbasetemp())
    with pytest.raises(Killed):
        run(tmp_path / "run", backend, dtype, Kill())
    model = run(tmp_path / "run", other, dtype, resume=True)
    assert model.backend.name == nn.backend(other).name
    assert model.step == 18
    assert {leaf.dtype for leaf in tree.leaves(tree.map(model.backend.to_numpy, model.params))} == {np.dtype(dtype)}
    for name, values in expected.items():
        np.testing.assert_allclose(model.history[name], values, rtol=1e-4 if dtype == "float32" else 1e-11)
