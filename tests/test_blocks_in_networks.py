"""Networks of images and sequences on every backend: the same numbers, no trip off the device, one compilation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends import numpy as numpy_backend
from arraynn.backends.base import Plan

RNG = np.random.default_rng(0)
IMAGES, SERIES = RNG.standard_normal((6, 8, 7, 2)), RNG.standard_normal((6, 5, 4))
LENGTHS, WORDS = np.asarray([5, 3, 1, 4, 5, 2]), RNG.integers(0, 9, (6, 5))
NETWORKS: dict[str, tuple[Any, Any, np.ndarray]] = {
    "convolution": (
        nn.Sequential(
            *(nn.Conv2D(4, 3, padding="same"), nn.GroupNorm(2), nn.ReLU(), nn.MaxPool2D()),
            *(nn.Conv2D(6, 2, strides=2, groups=2), nn.Tanh(), nn.AveragePool2D((2, 1)), nn.Flatten(), nn.Dense(3)),
        ),
        IMAGES,
        RNG.integers(0, 3, 6),
    ),
    "convolution over time": (
        nn.Sequential(nn.Conv1D(5, 2, dilation=2), nn.GELU(), nn.MaxPool1D(), nn.GlobalAveragePool(), nn.Dense(3)),
        SERIES,
        RNG.integers(0, 3, 6),
    ),
    "transformer": (
        nn.Sequential(
            *(nn.Embedding(9, 8), nn.PositionalEmbedding(5)),
            nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(2, causal=True, dropout=0.1)),
            nn.Residual(nn.RMSNorm(), nn.Dense(16), nn.GELU(), nn.Dropout(0.1), nn.Dense(8)),
            nn.Dense(9),
        ),
        WORDS,
        np.where(WORDS > 6, -1, (WORDS + 1) % 9),
    ),
    "masked attention": (
        nn.Sequential(nn.MultiHeadAttention(2), nn.GlobalMaxPool(), nn.Dense(3)),
        (SERIES, LENGTHS),
        RNG.integers(0, 3, 6),
    ),
    "lstm": (
        nn.Sequential(nn.LSTM(6, return_sequences=True), nn.LSTM(5), nn.Dense(3)),
        SERIES,
        RNG.integers(0, 3, 6),
    ),
    "gru, both ways, padded": (
        nn.Sequential(nn.Bidirectional(nn.GRU(4, return_sequences=True)), nn.Dense(3)),
        (SERIES, LENGTHS),
        np.where(np.arange(5) < LENGTHS[:, None], RNG.integers(0, 3, (6, 5)), -1),
    ),
    "frozen, simple": (
        nn.Sequential(nn.Freeze(nn.Sequential(nn.RNN(4, return_sequences=True), nn.BatchNorm())), nn.RNN(3)),
        SERIES,
        RNG.integers(0, 3, 6),
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)
LOSS = nn.SoftmaxCrossEntropy(ignore_label=-1)


def trained(there: Any, name: str, steps: int, micro_batch: int | None = None) -> tuple[list[float], Any]:
    """The losses of so many steps, and the weights behind them."""
    network, x, y = NETWORKS[name]
    shapes = tree.map(lambda leaf: leaf.shape[1:], x)
    params = tree.map(lambda p: there.asarray(p, copy=True), network.init(np.random.default_rng(1), shapes)[0])
    optimizer, losses = nn.Adam(0.01), []
    step, state = nn.make_train_step(network, LOSS, optimizer, micro_batch=micro_batch), optimizer.init(params)
    rows = tree.map(lambda leaf: there.asarray(leaf, there.index_dtype if leaf.dtype.kind == "i" else "float32"), x)
    batch = rows, there.asarray(y, there.index_dtype), None
    with there.context():
        for _ in range(steps):
            params, state, logs = step(params, state, batch, nn.Key(0))
            losses.append(logs["data_loss"])
        return there.fetch(losses), tree.map(there.to_numpy, params)


@every_network
def test_the_first_losses_agree_with_numpys(backend: str, name: str) -> None:
    losses, params = trained(nn.backend(backend), name, 5)
    expected, reference = trained(nn.backend("numpy"), name, 5)
    assert losses == pytest.approx(expected, rel=2e-5)
    assert losses[-1] < losses[0]
    assert {leaf.dtype for leaf in tree.leaves(params)} == {np.dtype(np.float32)}
    for (path, a), b in zip(tree.items(params), tree.leaves(reference), strict=True):
        if "key_bias" not in path:  # of which softmax leaves nothing but rounding, which Adam blows up
            np.testing.assert_allclose(a, b, rtol=1e-2, atol=2e-3, err_msg=path)


@every_network
def test_a_step_never_leaves_the_device(name: str, spy: Any) -> None:
    network, x, y = NETWORKS[name]
    there = nn.backend("array_api_strict:device1")
    shapes = tree.map(lambda leaf: leaf.shape[1:], x)
    params = tree.map(there.asarray, network.init(np.random.default_rng(1), shapes)[0])
    step, optimizer = nn.make_train_step(network, LOSS, nn.Adam(0.01), clip_norm=1.0), nn.Adam(0.01)
    state = optimizer.init(params)
    rows = tree.map(lambda leaf: there.asarray(leaf, there.index_dtype if leaf.dtype.kind == "i" else "float32"), x)
    batch = rows, there.asarray(y, there.index_dtype), None
    spy.clear()
    step(params, state, batch, nn.Key(0))
    assert spy.calls == []


@every_network
def test_jax_compiles_a_step_once(name: str) -> None:
    jax = pytest.importorskip("jax")
    network, x, y = NETWORKS[name]
    calls: list[int] = []

    class Counted(nn.Sequential):
        def __call__(self, params: Any, x: Any, key: Any = None) -> Any:
            calls.append(1)
            return super().__call__(params, x, key)

    there, counted = nn.backend("jax"), Counted(*network.layers)
    shapes = tree.map(lambda leaf: leaf.shape[1:], x)
    params = tree.map(there.asarray, network.init(np.random.default_rng(1), shapes)[0])
    step, state = nn.make_train_step(counted, LOSS, nn.Adam(0.01)), nn.Adam(0.01).init(params)
    rows = tree.map(lambda leaf: there.asarray(leaf, there.index_dtype if leaf.dtype.kind == "i" else "float32"), x)
    for _ in range(3):
        params, state, _ = step(params, state, (rows, there.asarray(y, there.index_dtype), None), nn.Key(0))
    assert len(calls) == 1
    assert jax is not None


@every_network
def test_gradients_of_the_whole_network_are_the_derivative(name: str) -> None:
    network, x, _ = NETWORKS[name]
    nn.testing.check_backward(network, x, key=nn.Key(0), limit=6)


@every_network
def test_any_number_of_workers_gives_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_backend.NumPy, "plan", lambda *_: Plan((slice(0, 2), slice(2, 4), slice(4, 6)), "a test"))
    nn.training.step.compiled_step.cache_clear()
    found = []
    for count in ("1", "3"):
        monkeypatch.setenv("ARRAYNN_NUM_THREADS", count)
        found.append(trained(nn.backend("numpy"), name, 3))
    assert found[0][0] == found[1][0]
    for a, b in zip(*(tree.leaves(params) for _, params in found), strict=True):
        assert np.array_equal(a, b)
    nn.training.step.compiled_step.cache_clear()
