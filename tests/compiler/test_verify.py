"""A compiled step with a user's code in it gives what the step gives as it is, also where host values change."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn._array import namespace
from arraynn.backends import verify
from arraynn.backends.base import Backend
from arraynn.backends.numpy import NumPy
from arraynn.compiler import numpy_codegen
from arraynn.layers import Activation
from arraynn.training.step import compiled_step

STEPS = 9
COEFFICIENT = 0.5
SETTINGS: dict[str, Any] = {"beta": 0.5, "inner": [0.5]}
SPACE = SimpleNamespace(beta=0.5)


@dataclass(frozen=True)
class Scaled(Activation):
    """y = c x, where `factor` says what c is."""

    beta = 0.5

    def factor(self) -> float:
        return 0.75

    def function(self, x: Any, /) -> Any:
        c = self.factor()
        return x * c, lambda dy: dy * c


class ByGlobal(Scaled):
    def factor(self) -> float:
        return COEFFICIENT


class ByDict(Scaled):
    def factor(self) -> float:
        return SETTINGS["beta"] + SETTINGS["inner"][0]


class BySpace(Scaled):
    def factor(self) -> float:
        return SPACE.beta


class ByClass(Scaled):
    def factor(self) -> float:
        return type(self).beta


class ByChance(Scaled):
    def factor(self) -> float:
        return 0.5 + random.random()


class ByEnvironment(Scaled):
    """What no guard sees."""

    def factor(self) -> float:
        return float(os.environ["ARRAYNN_TEST_FACTOR"])


def anneal(i: int) -> None:
    global COEFFICIENT
    COEFFICIENT = 0.5 + 0.125 * i
    SETTINGS["beta"] = 0.5 + 0.125 * i
    SETTINGS["inner"][0] = 0.25 * (i // 2)
    SPACE.beta = 0.5 + 0.125 * i
    ByClass.beta = 0.5 + 0.125 * i
    random.seed(i)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    compiled_step.cache_clear()
    anneal(0)
    yield
    compiled_step.cache_clear()


def trained(layer: Any, steps: int = STEPS, change: Any = anneal, loss: Any = nn.mean_squared_error) -> Any:
    network = nn.Sequential(nn.Dense(5), layer, nn.Dense(2))
    params, _ = network.init(np.random.default_rng(0), (3,))
    optimizer = nn.Adam(0.05)
    state, step = optimizer.init(params), nn.make_train_step(network, loss, optimizer)
    rng = np.random.default_rng(1)
    logs: Any = {}
    for i in range(steps):
        change(i)
        batch = rng.standard_normal((12, 3), dtype="float32"), rng.standard_normal((12, 2), dtype="float32"), None
        params, state, logs = step(params, state, batch, nn.Key(0))
    return [params, state["slots"], logs["data_loss"]]


def plainly(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(NumPy, "compile", Backend.compile)
        compiled_step.cache_clear()
        expected = trained(*arguments, **options)
    compiled_step.cache_clear()
    return expected


def assert_equal(got: Any, expected: Any) -> None:
    for (path, a), (_, b) in zip(tree.items(got), tree.items(expected), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)


def test_a_value_drawn_on_the_host_is_drawn_anew_for_each_step(caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Sequential(ByChance(), nn.Dense(2))
    params, _ = network.init(np.random.default_rng(0), (3,))
    step = nn.make_train_step(network, nn.mean_squared_error, nn.SGD(0.0))
    x, losses = np.ones((4, 3), "float32"), set()
    with caplog.at_level(logging.INFO, "arraynn"):
        for _ in range(5):
            params, _, logs = step(params, nn.SGD(0.0).init(params), (x, x[:, :2] * 0, None), nn.Key(0))
            losses.add(float(logs["data_loss"]))
    assert len(losses) == 5
    assert "two traces of" in caplog.text


@pytest.mark.parametrize("kind", [ByGlobal, ByDict, BySpace, ByClass])
def test_a_value_that_is_annealed_is_seen_and_named(
    kind: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = plainly(monkeypatch, kind())
    with caplog.at_level(logging.WARNING, "arraynn"):
        got = trained(kind())
    assert_equal(got, expected)
    assert len(caplog.records) == 1
    assert kind.__name__ in caplog.text
    assert "belongs among the optimizer's scalars" in caplog.text


def test_a_loss_that_closes_over_what_changes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = 1.0

    def loss(outputs: Any, targets: Any, *, sample_weight: Any = None, total: Any = None) -> Any:
        error = outputs - targets
        return weight * namespace(error).sum(error * error), lambda dloss=1.0: 2 * weight * dloss * error

    def change(i: int) -> None:
        nonlocal weight
        weight = 1.0 + i

    expected = plainly(monkeypatch, nn.Tanh(), change=change, loss=loss)
    assert_equal(trained(nn.Tanh(), change=change, loss=loss), expected)


def test_what_no_guard_sees_is_seen_by_comparing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def change(i: int) -> None:
        monkeypatch.setenv("ARRAYNN_TEST_FACTOR", "0.5" if i < 3 else "0.75")

    expected = plainly(monkeypatch, ByEnvironment(), change=change)
    with caplog.at_level(logging.WARNING, "arraynn"):
        assert_equal(trained(ByEnvironment(), change=change), expected)
    assert "is not what the step gives as it is, at call 4" in caplog.text


def wrong(*arguments: Any, lower: Any = numpy_codegen.lower) -> Any:
    """A compiled program whose second parameter is off, as a bug would have it."""
    made = lower(*arguments)
    run = made.run

    def off(*given: Any) -> Any:
        params, slots, logs = run(*given)
        params[0]["bias"] = params[0]["bias"] + np.float32(1e-3)
        return params, slots, logs

    return replace(made, run=off)


def test_where_they_differ_the_reference_is_returned_and_the_block_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = plainly(monkeypatch, Scaled())
    monkeypatch.setattr(numpy_codegen, "lower", wrong)
    with caplog.at_level(logging.WARNING, "arraynn"):
        assert_equal(trained(Scaled()), expected)
    assert len(caplog.records) == 1
    assert "Scaled of" in caplog.text
    assert "0.bias" in caplog.text


def test_it_is_compared_at_calls_that_double(monkeypatch: pytest.MonkeyPatch) -> None:
    at: list[int] = []
    compared = verify.Verified._compared

    def counted(self: Any, arguments: Any) -> Any:
        result = compared(self, arguments)
        at.append(self.calls)
        return result

    monkeypatch.setattr(verify.Verified, "_compared", counted)
    monkeypatch.setattr(verify, "SELDOM", 16)
    trained(Scaled(), steps=70, change=lambda i: None)
    assert at == [1, 2, 4, 8, 16, 32, 48, 64]


def test_the_library_is_not_compared_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "Verified", None)
    assert np.isfinite(trained(nn.Dropout(0.5))[-1])
    core = compiled_step.__wrapped__(NumPy, nn.ReLU(), nn.losses.Huber(), nn.EMA(nn.Adam()), None, None, ())
    monkeypatch.undo()
    assert not verify.Foreign(core).names


def test_memory_filled_with_nan_is_not_read(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    layers = (nn.Residual(Scaled(), nn.LayerNorm()), nn.Dropout(0.3), nn.BatchNorm(), nn.GELU(), nn.Softmax())
    with caplog.at_level(logging.WARNING, "arraynn"):
        for layer in layers:
            both = nn.Sequential(Scaled(), layer)
            assert_equal(trained(both), plainly(monkeypatch, both))
    assert not caplog.records
