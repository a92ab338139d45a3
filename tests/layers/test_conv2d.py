import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arraynn as nn
from arraynn.backends import numpy as numpy_backend
from arraynn.testing import check_against, check_backward

GEOMETRIES = [
    {},
    {"padding": "same"},
    {"strides": (2, 3), "padding": "same"},
    {"strides": 2, "padding": ((0, 1), (2, 0))},
    {"dilation": (2, 1), "padding": 1},
    {"groups": 2},
    {"groups": 2, "strides": (1, 2), "dilation": (1, 2), "padding": "same"},
]


def ids(options):
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "valid"


@pytest.mark.parametrize("options", [GEOMETRIES[0], GEOMETRIES[3], GEOMETRIES[-1]], ids=ids)
def test_backward_is_the_derivative(xp, rng, options):
    channels = 2 // options.get("groups", 1)
    x, w = xp.asarray(rng.standard_normal((2, 4, 5, 2))), xp.asarray(rng.standard_normal((3, 2, channels, 2)))
    check_backward(nn.conv2d, x, w, xp.asarray(rng.standard_normal(2)), limit=30, **options)


@pytest.mark.parametrize("options", GEOMETRIES, ids=ids)
def test_every_element_of_every_gradient_is_the_derivative(rng, options):
    channels = 2 // options.get("groups", 1)
    x, w = rng.standard_normal((2, 5, 6, 2)), rng.standard_normal((3, 2, channels, 4))
    check_backward(nn.conv2d, x, w, rng.standard_normal(4), **options)


def test_the_layer_agrees_with_its_function(xp, rng):
    layer = nn.Conv2D(2, (3, 2), strides=2, padding="same", groups=2, weight_regularizer=nn.L2(0.1))
    check_backward(layer, xp.asarray(rng.standard_normal((2, 3, 4, 2))), limit=20)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_batch_and_one_row_are_fine(xp, rng, rows):
    w, b = xp.asarray(rng.standard_normal((2, 2, 3, 2))), xp.asarray(rng.standard_normal(2))
    check_backward(nn.conv2d, xp.asarray(rng.standard_normal((rows, 4, 4, 3))), w, b, limit=10)
    _, backward = nn.conv2d(xp.asarray(np.zeros((0, 4, 4, 3))), w, b)
    _, dw, db = backward(xp.asarray(np.zeros((0, 3, 3, 2))))
    assert not np.any(xp.to_numpy(dw))
    assert not np.any(xp.to_numpy(db))


def test_it_equals_the_sum_in_its_docstring(rng):
    x, w, b = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((3, 2, 3, 4)), rng.standard_normal(4)
    y, _ = nn.conv2d(x, w, b, strides=(2, 1), dilation=(1, 2))
    assert y.shape == (2, 2, 4, 4)
    for n, r, c in np.ndindex(y.shape[:3]):
        expected = b + sum(x[n, 2 * r + i, c + 2 * j] @ w[i, j] for i, j in np.ndindex(3, 2))
        np.testing.assert_allclose(y[n, r, c], expected, rtol=1e-12)


def test_a_kernel_of_one_is_a_dense_layer_of_each_pixel(xp, rng):
    x, w, b = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((5, 2)), rng.standard_normal(2)
    y, _ = nn.conv2d(xp.asarray(x), xp.asarray(w.reshape(1, 1, 5, 2)), xp.asarray(b))
    np.testing.assert_allclose(xp.to_numpy(y), x @ w + b, rtol=1e-5, atol=1e-6)


def test_same_padding_has_an_output_for_each_stride(rng):
    for n, k, s, d in itertools.product((1, 5, 8), (1, 2, 3), (1, 2, 3), (1, 2)):
        x, w = rng.standard_normal((1, n, n, 1)), rng.standard_normal((k, k, 1, 1))
        y, _ = nn.conv2d(x, w, np.zeros(1), strides=s, padding="same", dilation=d)
        assert y.shape[1:3] == (math.ceil(n / s),) * 2


@st.composite
def convolutions(draw, rank):
    """Shapes and hyperparameters of a convolution whose kernel fits."""
    some = st.integers(1, 3)
    groups = draw(some)
    size, strides, dilation = (tuple(draw(some) for _ in range(rank)) for _ in range(3))
    pads = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    spatial = tuple(
        draw(st.integers(max((k - 1) * d + 1 - sum(pad), 1), 8)) for k, d, pad in zip(size, dilation, pads, strict=True)
    )
    channels, filters, rows = groups * draw(some), groups * draw(some), draw(st.integers(1, 4))
    shapes = (rows, *spatial, channels), (*size, channels // groups, filters), (filters,)
    options = {"strides": strides, "padding": pads, "dilation": dilation, "groups": groups}
    return shapes, options, draw(st.integers(0, 2**16))


def torchs(x, w, b, dy, *, strides, padding, dilation, groups):
    """y, dx, dw, db of PyTorch's convolution, in our layout."""
    torch = pytest.importorskip("torch")
    rank = w.ndim - 2
    given = [
        torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True),
        torch.tensor(np.moveaxis(w, (-1, -2), (0, 1)).copy(), requires_grad=True),
        torch.tensor(b, requires_grad=True),
    ]
    padded = torch.nn.functional.pad(given[0], [n for pair in reversed(padding) for n in pair])
    convolve = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[rank - 1]
    y = convolve(padded, *given[1:], stride=strides, dilation=dilation, groups=groups)
    y.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    dx, dw, db = (tensor.grad.numpy() for tensor in given)
    return np.moveaxis(y.detach().numpy(), 1, -1), np.moveaxis(dx, 1, -1), np.moveaxis(dw, (0, 1), (-1, -2)), db


@settings(max_examples=300, deadline=None, derandomize=True)
@given(convolutions(2))
def test_it_agrees_with_torch(case):
    shapes, options, seed = case
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    y, backward = nn.conv2d(*arrays, **options)
    dy = rng.standard_normal(y.shape)
    for found, expected in zip((y, *backward(dy)), torchs(*arrays, dy, **options), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.max(np.abs(expected), initial=1e-6))


@pytest.mark.parametrize("options", [GEOMETRIES[1], GEOMETRIES[-1]], ids=ids)
def test_it_agrees_with_jaxs_autodiff(rng, options):
    pytest.importorskip("jax")
    channels = 2 // options.get("groups", 1)
    w, b = rng.standard_normal((3, 2, channels, 4)), rng.standard_normal(4)
    check_against(nn.conv2d, rng.standard_normal((2, 5, 6, 2)), w, b, oracle="jax", **options)


@pytest.mark.parametrize("options", GEOMETRIES, ids=ids)
def test_blocks_of_patches_give_the_same(rng, monkeypatch, options):
    channels = 2 // options.get("groups", 1)
    x, w, b = rng.standard_normal((7, 5, 6, 2)), rng.standard_normal((3, 2, channels, 4)), rng.standard_normal(4)
    y, backward = nn.conv2d(x, w, b, **options)
    dy = rng.standard_normal(y.shape)
    for numbers in (1, 1000):
        monkeypatch.setattr(numpy_backend.NumPy, "patch_numbers", numbers)
        blocks, blocks_backward = nn.conv2d(x, w, b, **options)
        for found, expected in zip((blocks, *blocks_backward(dy)), (y, *backward(dy)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_patches_are_made_for_some_rows_at_a_time(rng, monkeypatch):
    made = []
    patches = numpy_backend.NumPy.patches
    monkeypatch.setattr(numpy_backend.NumPy, "patches", lambda x, windows: made.append(patches(x, windows)) or made[-1])
    x, w = rng.standard_normal((64, 28, 28, 8), "f4"), rng.standard_normal((5, 5, 8, 4), "f4")
    y, backward = nn.conv2d(x, w, np.zeros(4, "f4"))
    backward(y)
    assert sum(len(p) for p in made) == 2 * 64 * 24 * 24
    assert max(p.size for p in made) <= max(numpy_backend.NumPy.patch_numbers, 24 * 24 * 25 * 8)


def test_init_infers_the_channels(rng):
    params, shape = nn.Conv2D(6, (3, 5), strides=2, padding="same").init(rng, (28, 29, 4))
    assert {name: p.shape for name, p in params.items()} == {"weight": (3, 5, 4, 6), "bias": (6,)}
    assert shape == (14, 15, 6)
    assert params["weight"].dtype == np.float32
    limit = math.sqrt(6 / (3 * 5 * (4 + 6)))  # of Glorot and Bengio, n_in and n_out times the kernel
    assert 0.9 * limit < np.max(np.abs(params["weight"])) <= limit


def test_inputs_that_do_not_fit_are_refused(rng):
    x, w, b = np.zeros((2, 8, 8, 3)), np.zeros((3, 3, 3, 4)), np.zeros(4)
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, H, W, 3\), channels last, got \(N, 8, 8, 5\)"):
        nn.conv2d(np.zeros((2, 8, 8, 5)), w, b)
    with pytest.raises(nn.ShapeError, match=r"looks like channels first.*put Permute\(\(2, 3, 1\)\) before it"):
        nn.conv2d(np.zeros((2, 3, 8, 8)), w, b)
    with pytest.raises(nn.ShapeError, match=r"got \(N, 8, 8\); an image of one channel .* Reshape\(\(8, 8, 1\)\)"):
        nn.conv2d(np.zeros((2, 8, 8)), w, b)
    with pytest.raises(nn.ShapeError, match=r"\(5, 5\) at dilation \(2, 2\) spans \(9, 9\), which is larger"):
        nn.conv2d(x, np.zeros((5, 5, 3, 4)), b, dilation=2)
    with pytest.raises(nn.ShapeError, match=r"input \(N, 1, 28, 28\); .*Permute\(\(2, 3, 1\)\)"):
        nn.Conv2D(4, 5).init(rng, (1, 28, 28))
    with pytest.raises(nn.ShapeError, match=r"groups must divide the 4 filters of w, got 3"):
        nn.conv2d(x, w, b, groups=3)
    with pytest.raises(nn.ShapeError, match=r"got 2 groups of 3"):
        nn.Conv2D(4, 3, groups=2).init(rng, (8, 8, 3))
    with pytest.raises(nn.ShapeError, match=r"Conv2D 'layers\.1'.* from Dense 'layers\.0'"):
        nn.Sequential(nn.Dense(4), nn.Conv2D(4, 3)).init(rng, (8,))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strides": 0}, r"strides must be an integer of at least 1, or a tuple of 2, got 0"),
        ({"strides": (1, 2, 3)}, r"strides must be .*got \(1, 2, 3\)"),
        ({"kernel_size": 0}, r"kernel_size must be .*got 0"),
        ({"kernel_size": 2.0}, r"kernel_size must be .*got 2\.0"),
        ({"dilation": -1}, r"dilation must be .*got -1"),
        ({"padding": "full"}, r"padding must be 'valid', 'same'.*got 'full'"),
        ({"padding": -1}, r"padding must be .*got -1"),
        ({"padding": (1, 1)}, r"padding must be .*\(\(before, after\), \(before, after\)\).*got \(1, 1\)"),
        ({"filters": 0}, r"filters must be an integer of at least 1, got 0"),
        ({"groups": True}, r"groups must be an integer of at least 1, got True"),
        ({"groups": 3}, r"groups must divide the filters, got 3 groups of 4 filters"),
    ],
)
def test_bad_hyperparameters_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        nn.Conv2D(**{"filters": 4, "kernel_size": 3, **options})
