import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn.testing import check_backward

LAYERS = [
    (nn.MaxPool2D(), (4, 5, 2)),
    (nn.MaxPool2D((2, 3), strides=(2, 1)), (4, 5, 2)),
    (nn.MaxPool2D(3, strides=2, padding="same"), (4, 5, 2)),
    (nn.MaxPool1D(3, strides=2, padding=((1, 0),)), (6, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_backward_is_the_derivative(xp, rng, layer, shape):
    x = xp.asarray(rng.permutation(2 * math.prod(shape)).reshape(2, *shape) / 8)  # no two are near each other
    check_backward(layer, x, limit=30)
    assert layer.init(rng, shape)[1] == tuple(layer({}, x)[0].shape[1:])


@st.composite
def poolings(draw):
    """x's shape, and the size, strides and padding of a pooling that fits and that PyTorch knows."""
    rank = draw(st.integers(1, 2))
    some = st.integers(1, 3)
    size, strides = (tuple(draw(some) for _ in range(rank)) for _ in range(2))
    pads = tuple(draw(st.integers(0, k // 2)) for k in size)
    spatial = tuple(draw(st.integers(max(k - 2 * p, 1), 8)) for k, p in zip(size, pads, strict=True))
    return (draw(st.integers(1, 3)), *spatial, draw(some)), size, strides, pads, draw(st.integers(0, 2**16))


def against_torch(pool1d, pool2d, functions, case, values, **options):
    """Both ways, in float64, to 1e-10."""
    torch = pytest.importorskip("torch")
    shape, size, strides, pads, seed = case
    rank, rng = len(size), np.random.default_rng(seed)
    x = values(rng, shape)
    given = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    function = getattr(torch.nn.functional, functions[rank - 1])
    expected = function(given, size, stride=strides, padding=pads, **options)
    padding = tuple((p, p) for p in pads)
    y, backward = (pool1d, pool2d)[rank - 1](x, size, strides=strides, padding=padding)
    dy = rng.standard_normal(y.shape)
    expected.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    np.testing.assert_allclose(y, np.moveaxis(expected.detach().numpy(), 1, -1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(backward(dy), np.moveaxis(given.grad.numpy(), 1, -1), rtol=1e-10, atol=1e-12)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(poolings())
def test_it_agrees_with_torch_ties_too(case):
    pools = nn.max_pool1d, nn.max_pool2d, ("max_pool1d", "max_pool2d")
    against_torch(*pools, case, lambda rng, shape: rng.integers(0, 3, shape).astype(float))


def test_of_equal_numbers_the_first_has_the_gradient(xp):
    x = xp.asarray(np.ones((1, 3, 3, 1)))
    y, backward = nn.max_pool2d(x, 2, strides=1)
    assert np.all(xp.to_numpy(y) == 1)
    dx = xp.to_numpy(backward(xp.asarray([[[[1.0], [2.0]], [[4.0], [8.0]]]])))
    assert dx[0, :, :, 0].tolist() == [[1, 2, 0], [4, 8, 0], [0, 0, 0]]


def test_padding_is_never_the_largest(xp):
    y, backward = nn.max_pool2d(xp.asarray(-np.ones((1, 3, 3, 2))), 2, padding="same")
    assert np.all(xp.to_numpy(y) == -1)
    assert np.sum(xp.to_numpy(backward(y))) == -8


def test_infinities_and_nan_are_passed_on(xp):
    x = xp.asarray([[[-np.inf], [-np.inf], [np.nan], [1.0]]])
    y, backward = nn.max_pool1d(x, 2)
    assert np.array_equal(xp.to_numpy(y).ravel(), [-np.inf, np.nan], equal_nan=True)
    assert xp.to_numpy(backward(xp.asarray([[[1.0], [1.0]]]))).ravel().tolist() == [1, 0, 0, 0]


def test_an_empty_batch_is_fine(xp):
    y, backward = nn.max_pool2d(xp.asarray(np.zeros((0, 4, 4, 3))), 2)
    assert (tuple(y.shape), tuple(backward(y).shape)) == ((0, 2, 2, 3), (0, 4, 4, 3))


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"a window of \(3, 3\) is larger than the input \(N, 2, 8, 8\)"):
        nn.max_pool2d(np.zeros((1, 2, 8, 8)), 3)
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, T, C\), channels last, got \(N, 4, 4, 3\)"):
        nn.max_pool1d(np.zeros((1, 4, 4, 3)), 2)
    with pytest.raises(nn.ShapeError, match=r"padding must be less than the window, which is \(2, 2\), got"):
        nn.MaxPool2D(2, padding=2).init(rng, (8, 8, 1))
    with pytest.raises(ValueError, match="strides must be an integer of at least 1, or a tuple of 2, got 0"):
        nn.MaxPool2D(2, strides=0)
    with pytest.raises(ValueError, match="pool_size must be an integer of at least 1, or a tuple of 1, got 0"):
        nn.MaxPool1D(0)
    with pytest.raises(ValueError, match="padding must be 'valid', 'same'"):
        nn.MaxPool1D(2, padding="half")
