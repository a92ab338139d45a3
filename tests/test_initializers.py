import math

import numpy as np
import pytest

from arraynn import initializers

SHAPE = (300, 200)
SCALED = [
    ("glorot_uniform", 2 / 500),
    ("glorot_normal", 2 / 500),
    ("he_uniform", 2 / 300),
    ("he_normal", 2 / 300),
    ("lecun_uniform", 1 / 300),
    ("lecun_normal", 1 / 300),
]


@pytest.mark.parametrize(("name", "variance"), SCALED)
def test_variances_are_those_of_the_papers(rng, name, variance):
    w = getattr(initializers, name)(rng, SHAPE)
    deviation = math.sqrt(2 / w.size)  # of an estimated variance, relative; less for uniform numbers
    assert w.shape == SHAPE
    assert w.dtype == np.float64
    assert np.var(w) == pytest.approx(variance, rel=5 * deviation)
    assert abs(np.mean(w)) < 5 * math.sqrt(variance / w.size)


def test_the_fans_of_a_convolution_are_multiplied_by_its_kernel_size(rng):
    w = initializers.variance_scaling(1.0, "out", "normal")(rng, (3, 3, 10, 500))
    assert np.var(w) == pytest.approx(1 / (3 * 3 * 500), rel=0.05)
    assert np.var(initializers.he_normal(rng, (3, 3, 10, 500))) == pytest.approx(2 / (3 * 3 * 10), rel=0.05)


@pytest.mark.parametrize(("name", "variance"), [item for item in SCALED if "uniform" in item[0]])
def test_uniform_initializers_fill_their_interval(rng, name, variance):
    w, limit = getattr(initializers, name)(rng, SHAPE), math.sqrt(3 * variance)
    assert np.max(np.abs(w)) <= limit
    assert np.min(w) < -0.99 * limit
    assert np.max(w) > 0.99 * limit


@pytest.mark.parametrize(("name", "variance"), [item for item in SCALED if "normal" in item[0]])
def test_normal_initializers_are_not_truncated(rng, name, variance):
    w = getattr(initializers, name)(rng, SHAPE)
    assert np.mean(np.abs(w) > 2 * math.sqrt(variance)) == pytest.approx(0.0455, abs=0.005)


def test_normal_is_the_books_small_random_numbers():
    drawn = initializers.normal(0.01)(np.random.RandomState(0), (2, 3))
    assert np.array_equal(drawn, 0.01 * np.random.RandomState(0).randn(2, 3))


def test_one_seed_gives_the_same_weights_with_each_kind_of_generator():
    for make in (np.random.default_rng, np.random.RandomState):
        for name, _ in SCALED:
            first, second = (getattr(initializers, name)(make(3), (4, 5)) for _ in range(2))
            assert np.array_equal(first, second)


def test_constants_draw_no_random_numbers(rng):
    before = rng.bit_generator.state
    assert initializers.zeros(rng, (3,)).tolist() == [0.0] * 3
    assert initializers.constant(0.5)(rng, (2,)).tolist() == [0.5] * 2
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 4), (1, 4), (4, 1)])
def test_orthogonal_weights_keep_lengths(rng, shape):
    w = initializers.orthogonal(gain=2.0)(rng, shape)
    flat = w.reshape(-1, shape[-1])
    gram = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    assert w.shape == shape
    assert w.dtype == np.float64
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_weights_favour_no_direction(rng):
    # without the sign of R's diagonal, LAPACK's Q would have it all on one side
    drawn = np.asarray([initializers.orthogonal()(rng, (3, 3)) for _ in range(4000)])
    assert np.max(np.abs(np.mean(drawn, axis=0))) < 5 * math.sqrt(1 / 3 / 4000)
    assert np.mean(np.linalg.det(drawn) > 0) == pytest.approx(0.5, abs=0.04)


def test_layers_without_inputs_divide_by_nothing(rng):
    assert initializers.he_normal(rng, (0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: initializers.normal(-0.1), "std must be at least 0, got -0.1"),
        (lambda: initializers.normal(float("nan")), "std must be"),
        (lambda: initializers.variance_scaling(-1.0, "in", "normal"), "scale must be at least 0"),
        (lambda: initializers.variance_scaling(1.0, "input", "normal"), "fan must be 'in', 'out' or 'average'"),
        (lambda: initializers.orthogonal(float("inf")), "gain must be finite, got inf"),
        (lambda: initializers.orthogonal()(np.random.default_rng(0), (3,)), r"at least two axes, got the shape \(3,\)"),
        (lambda: initializers.variance_scaling(1.0, "in", "gauss"), "distribution 'normal' or 'uniform'"),
    ],
)
def test_values_out_of_range_are_refused(make, what):
    with pytest.raises(ValueError, match=what):
        make()
