import numpy as np
import pytest
from hypothesis import given, settings

import arraynn as nn
from arraynn.testing import check_backward
from tests.layers.test_conv2d import convolutions, torchs

GEOMETRIES = [{"padding": "same", "strides": 2}, {"padding": ((2, 0),), "dilation": 2, "groups": 2}]


@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
def test_backward_is_the_derivative(xp, rng, options):
    channels = 2 // options.get("groups", 1)
    x, w = xp.asarray(rng.standard_normal((2, 6, 2))), xp.asarray(rng.standard_normal((2, channels, 4)))
    check_backward(nn.conv1d, x, w, xp.asarray(rng.standard_normal(4)), limit=20, **options)
    check_backward(nn.Conv1D(4, 2, **options), x, limit=20)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(convolutions(1))
def test_it_agrees_with_torch(case):
    shapes, options, seed = case
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    y, backward = nn.conv1d(*arrays, **options)
    dy = rng.standard_normal(y.shape)
    for found, expected in zip((y, *backward(dy)), torchs(*arrays, dy, **options), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.max(np.abs(expected), initial=1e-6))


def test_it_equals_conv2d_of_images_one_pixel_high(xp, rng):
    x, w, b = (xp.asarray(rng.standard_normal(shape)) for shape in [(2, 6, 3), (2, 3, 4), (4,)])
    y, backward = nn.conv1d(x, w, b, strides=2, padding="same")
    flat, flat_backward = nn.conv2d(x[:, None, ...], w[None, ...], b, strides=(1, 2), padding="same")
    dy = xp.asarray(rng.standard_normal(tuple(y.shape)))
    for one, two in zip((y, *backward(dy)), (flat, *flat_backward(dy[:, None, ...])), strict=True):
        assert np.array_equal(xp.to_numpy(one).ravel(), xp.to_numpy(two).ravel())


def test_with_causal_padding_no_output_depends_on_a_later_step(rng):
    layer = nn.Conv1D(4, 3, dilation=2, padding=((4, 0),))
    params, shape = layer.init(rng, (7, 2), "float64")
    assert shape == (7, 4)
    x = rng.standard_normal((1, 7, 2))
    later = x.copy()
    later[:, 5:] += 1
    assert np.array_equal(layer(params, x)[0][:, :5], layer(params, later)[0][:, :5])
    assert not np.array_equal(layer(params, x)[0][:, 5:], layer(params, later)[0][:, 5:])


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(
        nn.ShapeError, match=r"expected input \(N, T, 2\), channels last, got \(N, 2, 9\).*Permute\(\(2, 1\)\)"
    ):
        nn.conv1d(np.zeros((3, 2, 9)), np.zeros((3, 2, 4)), np.zeros(4))
    with pytest.raises(nn.ShapeError, match=r"a window of \(3,\) is larger than the input \(N, 2, 2\)"):
        nn.conv1d(np.zeros((3, 2, 2)), np.zeros((3, 2, 4)), np.zeros(4))
    with pytest.raises(ValueError, match=r"padding must be .*\(\(before, after\),\) of such, got \(1, 1\)"):
        nn.Conv1D(4, 3, padding=(1, 1))
