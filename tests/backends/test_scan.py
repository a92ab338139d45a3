"""Recurrence: each library's `scan` against the loop that it stands for."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends import for_type
from arraynn.backends import numpy as numpy_backend
from arraynn.backends.numpy import NumPy
from arraynn.compiler import tuning
from arraynn.training.step import compiled_step
from tests.backends import recording
from tests.backends.test_cupy_conformance import trained
from tests.backends.test_numpy_steps import plainly, same


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_scan_is_the_loop(xp: Any, rng: np.random.Generator, reverse: bool, steps: int) -> None:
    x, m = rng.standard_normal((steps, 2, 3)), rng.standard_normal((steps, 2, 1))

    def body(carry: Any, given: Any) -> Any:
        (h, c), (x, (m, nothing)) = carry, given
        assert nothing is None
        h, c = h * m + x, c + h
        return (h, c), (h, {"c": c})

    h, c, expected = np.zeros((2, 3)), np.ones((2, 3)), {}
    for t in reversed(range(steps)) if reverse else range(steps):
        h, c = h * m[t] + x[t], c + h
        expected[t] = h, c
    start = tree.map(xp.asarray, (np.zeros((2, 3)), np.ones((2, 3))))
    scan = for_type(type(xp.asarray(x))).scan
    last, (states, rest) = scan(body, start, (xp.asarray(x), (xp.asarray(m), None)), reverse)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(xp.to_numpy(last[0]), h, **close)
    np.testing.assert_allclose(xp.to_numpy(last[1]), c, **close)
    for t, (h, c) in expected.items():
        np.testing.assert_allclose(xp.to_numpy(states)[t], h, **close)
        np.testing.assert_allclose(xp.to_numpy(rest["c"])[t], c, **close)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_the_body_is_given_the_constants(xp: Any, rng: np.random.Generator, reverse: bool, steps: int) -> None:
    x, w = xp.asarray(rng.standard_normal((steps, 2, 3))), xp.asarray(rng.standard_normal((3, 3)))
    scan, zero = for_type(type(x)).scan, 0 * x[0, ...]
    last, ys = scan(lambda h, x, w: (h @ w + x, h), zero, x, reverse, w)
    expected = scan(lambda h, x: (h @ w + x, h), zero, x, reverse)
    for got, wanted in zip((last, ys), expected, strict=True):
        np.testing.assert_array_equal(xp.to_numpy(got), xp.to_numpy(wanted))


def sources(steps: int) -> list[str]:
    """What is generated for an LSTM's forward and backward over so many steps."""
    made: list[str] = []

    def function(x: Any, w: Any, u: Any, b: Any) -> Any:
        h, backward = nn.lstm(x, w, u, b)
        return h, backward(h)

    with pytest.MonkeyPatch.context() as patch:
        original = numpy_backend.numpy_program

        def seen(*arguments: Any, **options: Any) -> Any:
            program = original(*arguments, **options)
            assert program is not None
            made.append(program.source)
            return program

        patch.setattr(numpy_backend, "numpy_program", seen)
        NumPy.compile(function)(*(np.ones(shape, "float32") for shape in ((2, steps, 3), (3, 8), (2, 8), (8,))))
    return made


def test_a_long_recurrence_is_traced_for_a_few_steps() -> None:
    few, many = sources(10 * tuning.TOGETHER), sources(100 * tuning.TOGETHER)
    assert len(few) == 3  # the whole, and some steps of the forward and of the backward
    assert [len(source) for source in few] == pytest.approx([len(source) for source in many], rel=0.02)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recurrences are called from two steps on, five steps at a time."""
    monkeypatch.setattr(tuning, "UNROLLED", 1)
    monkeypatch.setattr(tuning, "UNROLLED_ON_GPU", 1)
    monkeypatch.setattr(tuning, "TOGETHER", 5)


RECURRENT = {
    "RNN": nn.RNN(4), "GRU": nn.GRU(4, return_sequences=True), "reversed": nn.LSTM(4, reverse=True),
    "both ways": nn.Bidirectional(nn.LSTM(4, return_sequences=True)),
}  # fmt: skip


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrence_that_is_called_has_the_bits_of_the_plain_step(
    name: str, masked: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 12, 2), dtype="float32")
    given: Any = (x, (rng.random((6, 12)) < 0.7).astype("float32")) if masked else x
    network = nn.Sequential(RECURRENT[name], nn.Dense(1))
    y = rng.standard_normal((6, *network.init(rng, ((12, 2), (12,)) if masked else (12, 2))[1]), dtype="float32")
    run = network, nn.mean_squared_error, y, nn.Adam(0.01), given
    compiled_step.cache_clear()
    with caplog.at_level(logging.INFO, "arraynn"):
        got = trained("numpy", *run)
        with recording.recording() as gpu:
            there = trained(gpu, *run)
    assert "runs as it is" not in caplog.text
    plainly(monkeypatch)
    same(got, trained("numpy", *run))
    compiled_step.cache_clear()
    for one, other in zip(tree.leaves(there), tree.leaves(got), strict=True):
        np.testing.assert_allclose(np.asarray(recording.bare(one)), np.asarray(other), rtol=1e-5, atol=1e-6)
