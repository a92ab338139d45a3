"""What an update consumes is written to, so no two of its leaves may be one memory: both are named."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import arraynn as nn
from arraynn.backends.overlap import Disjoint, overlapping
from arraynn.training.step import compiled_step

SIZES = {"small": 6, "large": 300}


def nets(size: int) -> Any:
    network = nn.Sequential(nn.Dense(size), nn.Tanh(), nn.Dense(size))
    params, _ = network.init(np.random.default_rng(0), (size,))
    rng = np.random.default_rng(1)
    batch = rng.standard_normal((8, size), dtype="float32"), rng.standard_normal((8, size), dtype="float32"), None
    return network, params, batch


def tie(params: Any, how: str) -> None:
    whole = np.zeros((len(params[0]["weight"]) + 1, len(params[0]["weight"])), "float32")
    if how == "the same":
        params[2]["weight"] = params[0]["weight"]
    elif how == "a view":
        params[2]["weight"] = params[0]["weight"][:]
    elif how == "transposed":
        params[2]["weight"] = params[0]["weight"].T
    else:
        params[0]["weight"], params[2]["weight"] = whole[1:], whole[:-1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["the same", "a view", "transposed", "overlapping"])
@pytest.mark.parametrize("late", [0, 3])
def test_tied_weights_are_refused_by_name(size: str, how: str, late: int) -> None:
    compiled_step.cache_clear()
    network, params, batch = nets(SIZES[size])
    optimizer = nn.Adam(0.1)
    state, step = optimizer.init(params), nn.make_train_step(network, nn.mean_squared_error, optimizer)
    for _ in range(late):
        params, state, _ = step(params, state, batch, nn.Key(0))
    tie(params, how)
    message = r"'0\.weight' and '2\.weight' share memory"
    for _ in range(2):
        with pytest.raises(nn.DataError, match=message):
            step(params, state, batch, nn.Key(0))
    with pytest.raises(nn.DataError, match=message):
        optimizer.update(params, params, state)


def test_slots_that_are_the_parameter_are_refused_by_name() -> None:
    class Anchored(nn.SGD):
        def init_one(self, p: Any) -> Any:
            return {"start": p}

        def update_one(self, p: Any, g: Any, slots: Any, c: Any) -> Any:
            p -= c["lr"] * (g + 0.1 * (p - slots["start"]))
            return p, slots

    network, params, batch = nets(3)
    optimizer = Anchored(0.1)
    step = nn.make_train_step(network, nn.mean_squared_error, optimizer)
    with pytest.raises(nn.DataError, match=r"'0\.weight' and '0\.weight\.start' share memory"):
        step(params, optimizer.init(params), batch, nn.Key(0))
    with pytest.raises(nn.DataError, match=r"'0\.weight' and '0\.weight\.start' share memory"):
        optimizer.update(params, params, optimizer.init(params))


def test_parts_of_one_array_that_do_not_meet_are_taken() -> None:
    network, params, batch = nets(6)
    plain = nn.tree.copy(params)
    whole = np.concatenate([params[0]["weight"], params[2]["weight"]], axis=1)
    params[0]["weight"], params[2]["weight"] = whole[:, :6], whole[:, 6:]
    optimizer = nn.Adam(0.1)
    step = nn.make_train_step(network, nn.mean_squared_error, optimizer)
    got, _, _ = step(params, optimizer.init(params), batch, nn.Key(0))
    expected, _, _ = step(plain, optimizer.init(plain), batch, nn.Key(0))
    for a, b in zip(nn.tree.leaves(got), nn.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_statistics_and_what_is_not_consumed_may_be_shared() -> None:
    network = nn.Sequential(nn.BatchNorm(), nn.Dense(2))
    params, _ = network.init(np.random.default_rng(0), (2,))
    params[0]["statistics"]["variance"] = params[0]["statistics"]["mean"]
    optimizer = nn.SGD(0.1)
    x = np.ones((4, 2), "float32")
    step = nn.make_train_step(network, nn.mean_squared_error, optimizer)
    step(params, optimizer.init(params), (x, x, None), nn.Key(0))


def test_an_array_that_takes_the_place_of_a_dead_one_is_looked_at() -> None:
    look, other = Disjoint(["a", "b"]), np.zeros(3)
    for _ in range(5):
        fresh = np.zeros(3)
        look((fresh, other))
        assert len(look.known) == 1
        del fresh
        gc.collect()
        assert not look.known
    with pytest.raises(nn.DataError, match="'a' and 'b'"):
        look((other, other[1:]))


def test_what_shares_memory_is_found_among_many() -> None:
    whole = np.arange(60.0).reshape(6, 10)
    columns = [whole[:, i] for i in range(10)]
    assert overlapping(columns) is None
    assert overlapping([*columns, whole[2:4, 7:8]]) == (7, 10)
    assert overlapping([whole[:0], whole[:0], np.zeros(0)]) is None
