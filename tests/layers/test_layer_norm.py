import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (1, 5), (0, 5), (3, 1)])
def test_backward_is_the_derivative(xp, rng, shape):
    x = xp.asarray(rng.standard_normal(shape))
    scale, bias = (xp.asarray(rng.standard_normal(shape[-1])) for _ in range(2))
    check_backward(nn.layer_norm, x, scale, bias)
    check_backward(nn.LayerNorm(), x)


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5)])
def test_it_agrees_with_torch(rng, shape):
    torch = pytest.importorskip("torch")
    x, dy = rng.standard_normal(shape) + 3, rng.standard_normal(shape)
    scale, bias = rng.standard_normal(5), rng.standard_normal(5)
    given = [torch.tensor(a, requires_grad=True) for a in (x, scale, bias)]
    expected = torch.nn.functional.layer_norm(given[0], (5,), given[1], given[2])
    expected.backward(torch.tensor(dy))
    y, backward = nn.layer_norm(x, scale, bias)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    for found, tensor in zip(backward(dy), given, strict=True):
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_rows_have_mean_0_and_variance_1(xp, rng):
    x = xp.asarray(100 + 5 * rng.standard_normal((4, 50)))
    y = xp.to_numpy(nn.layer_norm(x, xp.asarray(np.ones(50)), xp.asarray(np.zeros(50)))[0])
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-4)


def test_a_row_of_equal_numbers_is_the_bias(xp):
    scale, bias = xp.asarray([2.0, 2.0]), xp.asarray([0.5, -0.5])
    y, backward = nn.layer_norm(xp.asarray([[7.0, 7.0]]), scale, bias)
    assert xp.to_numpy(y).tolist() == [[0.5, -0.5]]
    assert np.all(np.isfinite(xp.to_numpy(backward(y)[0])))


def test_rows_are_normalized_independently(rng):
    layer = nn.LayerNorm()
    params, shape = layer.init(rng, (5,), "float64")
    x = rng.standard_normal((6, 5))
    whole, _ = layer(params, x, nn.Key(0))
    assert shape == (5,)
    assert np.array_equal(whole[2:], layer(params, x[2:])[0])
    assert not layer.couples_rows


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, 5\), got \(N, 4\)"):
        nn.layer_norm(np.zeros((3, 4)), np.ones(5), np.zeros(5))
    with pytest.raises(nn.ShapeError, match=r"got \(N,\)"):
        nn.layer_norm(np.zeros(5), np.ones(5), np.zeros(5))
    with pytest.raises(nn.ShapeError, match=r"got \(N,\)"):
        nn.LayerNorm().init(rng, ())
    with pytest.raises(ValueError, match="epsilon must be a finite number above 0"):
        nn.LayerNorm(0.0)


@pytest.mark.parametrize("number", [10000.1, 1e5 + 0.1, 1e6 + 0.3, 1e10])
@pytest.mark.parametrize("units", [10, 64, 100, 127, 1000])
def test_a_row_of_equal_numbers_is_normalized_to_0(number, units):
    """The mean's own rounding, as large as √ε, gave up to 1."""
    x = np.full((3, units), number, np.float32)
    y, backward = nn.layer_norm(x, np.ones(units, np.float32), np.zeros(units, np.float32))
    assert not np.any(y)
    assert np.all(np.isfinite(backward(y)[0]))
