"""A batch in parts: the update of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.backends import numpy as numpy_backend
from tests.layers.test_freeze import INNER

NETWORK = nn.Sequential(
    nn.Freeze(INNER), nn.Dense(6, weight_regularizer=nn.L2(1e-2)), nn.ReLU(), nn.Dropout(0.4), nn.Dense(3)
)


def trained(backend: str, micro_batch: int | None, dtype: str, weighted: bool, rows: int = 10) -> Any:
    there, rng = nn.backend(backend), np.random.default_rng(0)
    x, y = rng.standard_normal((rows, 2)).astype(dtype), rng.integers(0, 3, rows)
    weight = rng.random(rows).astype(dtype) if weighted else None
    params = tree.map(lambda p: there.asarray(p, copy=True), NETWORK.init(np.random.default_rng(1), (2,), dtype)[0])
    optimizer = nn.Adam(0.05)
    options: dict[str, Any] = {"clip_norm": 0.5, "metrics": (nn.metrics.accuracy,)}
    step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer, micro_batch=micro_batch, **options)
    state = optimizer.init(params)
    batch = there.asarray(x), there.asarray(y, there.index_dtype), None if weight is None else there.asarray(weight)
    logs: Any = {}
    with there.context():
        for _ in range(3):
            params, state, logs = step(params, state, batch, nn.Key(3))
        return tree.map(
            lambda leaf: np.asarray(there.to_numpy(leaf)) if hasattr(leaf, "shape") else leaf, (params, logs)
        )


@pytest.mark.parametrize("micro_batch", [1, 4, 10, 99])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_update_equals_that_of_the_whole_batch(backend: str, micro_batch: int, weighted: bool) -> None:
    # with the dropout masks of the whole: a row's decisions do not depend on where the batch is split
    got, want = (trained(backend, rows, "float32", weighted) for rows in (micro_batch, None))
    for (path, a), b in zip(tree.items(got), tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6, err_msg=path)


def test_in_float64_it_agrees_to_the_rounding() -> None:
    got, want = (trained("numpy", rows, "float64", True) for rows in (3, None))
    for a, b in zip(tree.leaves(got), tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_where_numpy_takes_row_blocks_anyway_the_bits_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_backend, "BLOCK", 20)
    nn.training.step.compiled_step.cache_clear()
    got, want = (trained("numpy", rows, "float32", True, 60) for rows in (20, None))
    for a, b in zip(tree.leaves(got), tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)
    nn.training.step.compiled_step.cache_clear()


def test_no_part_is_larger_than_the_micro_batch(rng: np.random.Generator) -> None:
    seen: list[int] = []

    class Watch(nn.Identity):
        batch_coupled = False

        def function(self, x: Any, /) -> Any:
            seen.append(x.shape[0])
            return super().function(x)

    network = nn.Sequential(Watch(), nn.Dense(2))
    params, _ = network.init(rng, (3,))
    step = nn.make_train_step(network, nn.softmax_cross_entropy, nn.SGD(0.1), micro_batch=4)
    step(params, nn.SGD(0.1).init(params), (rng.standard_normal((10, 3), "f4"), np.zeros(10, int), None), nn.Key(0))
    assert max(seen) == 4
    assert seen[:4] == [1, 4, 4, 2]  # a row first, which tells how many classes there are


def test_fit_takes_a_micro_batch(backend: str, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((20, 2)), rng.integers(0, 3, 20)
    histories = []
    for rows in (None, 3):
        model = nn.Model(NETWORK, backend=backend)
        histories.append(model.fit(x, y, epochs=3, batch_size=10, micro_batch=rows, verbose=0))
    for name, values in histories[0].items():
        assert histories[1][name] == pytest.approx(values, rel=1e-4), name


def test_sequences_of_several_arrays_are_split_too(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.MultiHeadAttention(2), nn.GlobalAveragePool(), nn.Dense(3))
    x = (rng.standard_normal((8, 5, 4)), rng.integers(1, 6, 8))
    histories = []
    for rows in (None, 3):
        model = nn.Model(network, backend="numpy", dtype="float64")
        histories.append(model.fit(x, rng.integers(0, 1, 8), epochs=2, micro_batch=rows, verbose=0)["loss"])
    assert histories[1] == pytest.approx(histories[0], rel=1e-12)


def test_batches_that_cannot_be_split_are_refused(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.Dense(3), nn.BatchNorm())
    with pytest.raises(ValueError, match=r"couples its rows \(BatchNorm does\).*Take GroupNorm"):
        nn.make_train_step(network, nn.softmax_cross_entropy, nn.SGD(0.1), micro_batch=4)
    model = nn.Model(network, backend="numpy")
    with pytest.raises(ValueError, match="couples its rows"):
        model.fit(rng.standard_normal((8, 2)), rng.integers(0, 3, 8), micro_batch=4, verbose=0)
    for wrong in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="micro_batch must be an integer of at least 1, or None, got"):
            nn.make_train_step(NETWORK, nn.softmax_cross_entropy, nn.SGD(0.1), micro_batch=wrong)
