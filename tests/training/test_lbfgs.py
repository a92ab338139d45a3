import sys

import numpy as np
import pytest

import arraynn as nn

pytest.importorskip("scipy")


def test_a_linear_regression_finds_the_least_squares(xp, rng):
    x, y = rng.standard_normal((50, 3)), rng.standard_normal((50, 2))
    network = nn.Dense(2)
    params = nn.put(network.init(rng, (3,))[0], like=xp.asarray([0.0]))
    batch = xp.asarray(x), xp.asarray(y), None
    tight = 1e-9 if xp.has_float64 else 1e-5
    found, result = nn.minimize_lbfgs(
        network, nn.mean_squared_error, params, batch, gradient_tolerance=tight, loss_tolerance=0.0
    )
    want, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(50)]), y)
    close = 1e-7 if xp.has_float64 else 1e-3
    np.testing.assert_allclose(xp.to_numpy(found["weight"]), want[:3], rtol=close, atol=close)
    np.testing.assert_allclose(xp.to_numpy(found["bias"]), want[3], rtol=close, atol=close)
    assert str(found["weight"].dtype).endswith(xp.float_dtype)
    assert result.nit < 50
    assert result.fun == pytest.approx(np.mean((x @ want[:3] + want[3] - y) ** 2), rel=1e-5)


def test_the_start_is_not_consumed(rng):
    network = nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dense(2))
    params, _ = network.init(rng, (3,), "float64")
    before = nn.tree.map(np.copy, params)
    batch = rng.standard_normal((20, 3)), rng.integers(0, 2, 20), None
    found, result = nn.minimize_lbfgs(network, nn.softmax_cross_entropy, params, batch, max_iterations=5)
    assert result.nit == 5
    assert all(np.array_equal(a, b) for a, b in zip(nn.tree.leaves(params), nn.tree.leaves(before), strict=True))
    assert not np.array_equal(found[0]["weight"], params[0]["weight"])


def test_weights_and_penalty_belong_to_the_loss(rng):
    # ridge regression with weights, without a bias: (xᵀ W x / Σw + λ) w = xᵀ W y / Σw
    x, y, weight = rng.standard_normal((30, 3)), rng.standard_normal((30, 1)), rng.uniform(0, 2, 30)
    network = nn.Dense(1, weight_regularizer=nn.L2(0.3), bias_regularizer=nn.L2(1e9))
    params, _ = network.init(rng, (3,), "float64")
    found, _ = nn.minimize_lbfgs(
        network, nn.mean_squared_error, params, (x, y, weight), gradient_tolerance=1e-10, loss_tolerance=0.0
    )
    share = (weight / weight.sum())[:, None]
    want = np.linalg.solve(x.T @ (share * x) + 0.3 * np.eye(3), x.T @ (share * y))
    np.testing.assert_allclose(found["weight"], want, rtol=1e-5)


def test_a_key_fixes_the_masks_and_trains_the_statistics(rng):
    network = nn.Sequential(nn.Dense(6), nn.BatchNorm(), nn.Tanh(), nn.Dropout(0.2), nn.Dense(2))
    params, _ = network.init(rng, (3,), "float64")
    batch = rng.standard_normal((40, 3)), rng.integers(0, 2, 40), None
    found, result = nn.minimize_lbfgs(
        network, nn.softmax_cross_entropy, params, batch, key=nn.Key(0), max_iterations=20
    )
    y, _ = network(found, batch[0], nn.Key(0))
    assert float(nn.softmax_cross_entropy(y, batch[1])[0]) == pytest.approx(result.fun, rel=1e-12)
    assert np.any(found[1]["statistics"]["mean"])
    still, _ = nn.minimize_lbfgs(network, nn.softmax_cross_entropy, params, batch, max_iterations=2)
    assert not np.any(still[1]["statistics"]["mean"])  # without one it is inference, and they stay


def test_a_network_that_cannot_be_minimized_is_refused(rng):
    batch = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), None
    with pytest.raises(ValueError, match="no parameters to train"):
        nn.minimize_lbfgs(nn.ReLU(), nn.mean_squared_error, {}, batch)
    params, _ = nn.Dense(3).init(rng, (3,))
    with pytest.raises(ValueError, match="max_iterations must be at least 1"):
        nn.minimize_lbfgs(nn.Dense(3), nn.mean_squared_error, params, batch, max_iterations=0)


def test_without_scipy_the_error_says_what_to_install(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    params, _ = nn.Dense(3).init(rng, (3,))
    with pytest.raises(ImportError, match=r'pip install "arraynn\[scipy\]"'):
        nn.minimize_lbfgs(nn.Dense(3), nn.mean_squared_error, params, (np.zeros((1, 3)), np.zeros((1, 3)), None))
