import math

import numpy as np
import pytest

from arraynn.datasets import spiral
from arraynn.errors import DataError


def test_random_state_0_gives_the_books_stream():
    x, y = spiral(100, 3, seed=np.random.RandomState(0), dtype="float64")
    draws = np.random.RandomState(0).randn(300)  # one stream, cut into three classes
    for row in (0, 1, 57, 99, 100, 150, 199, 200, 299):
        c, i = divmod(row, 100)
        r = i / 99
        t = 4 * c + 4 * i / 99 + 0.2 * draws[row]
        np.testing.assert_allclose(x[row], [r * math.sin(2.5 * t), r * math.cos(2.5 * t)], rtol=0, atol=1e-14)
        assert y[row] == c


def test_float32_is_the_float64_points_rounded():
    wide, narrow = spiral(50, 2, dtype="float64")[0], spiral(50, 2)[0]
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(wide.astype(np.float32), narrow)


def test_points_drawn_in_float32_as_by_the_books_package_differ_by_rounding_only():
    class Rounded(np.random.RandomState):
        def randn(self, *shape):
            return super().randn(*shape).astype(np.float32)

    ours, theirs = spiral(seed=np.random.RandomState(0))[0], spiral(seed=Rounded(0))[0]
    assert 0 < np.abs(ours - theirs).max() < 1e-6


def test_shapes_types_and_order():
    x, y = spiral(7, 4)
    assert x.shape == (28, 2)
    assert y.shape == (28,)
    assert y.dtype == np.int64
    assert y.tolist() == [c for c in range(4) for _ in range(7)]
    assert np.hypot(x[:, 0], x[:, 1]).max() <= 1 + 1e-6
    np.testing.assert_array_equal(x[::7], 0)  # each arm begins at the centre


def test_one_point_of_one_class():
    x, y = spiral(1, 1)
    assert x.tolist() == [[0, 0]]
    assert y.tolist() == [0]


def test_a_seed_repeats_and_another_differs():
    np.testing.assert_array_equal(spiral(seed=3)[0], spiral(seed=3)[0])
    np.testing.assert_array_equal(spiral(seed=np.int64(3))[0], spiral(seed=np.random.default_rng(3))[0])
    assert not np.array_equal(spiral(seed=3)[0], spiral(seed=4)[0])


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_continues_its_stream(make):
    rng = make(0)
    first, second = spiral(seed=rng)[0], spiral(seed=rng)[0]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("bad", [0, -1, 2.0, "3", None, True, np.True_])
@pytest.mark.parametrize("name", ["samples", "classes"])
def test_a_bad_count_is_refused_with_its_range(name, bad):
    with pytest.raises(DataError, match=rf"^{name} is .*at least 1, such as"):
        spiral(**{name: bad})


@pytest.mark.parametrize("bad", [-1, 0.5, None, False, "0"])
def test_a_bad_seed_is_refused_with_the_allowed_values(bad):
    with pytest.raises(DataError, match=r"^seed is .*Generator"):
        spiral(seed=bad)


@pytest.mark.parametrize("bad", ["int64", "nonsense", None, "complex64", "O"])
def test_a_dtype_that_is_not_floating_is_refused(bad):
    with pytest.raises(DataError, match=r"^dtype is .*float32"):
        spiral(dtype=bad)


def test_noise_changes_the_angle_only():
    np.testing.assert_array_equal(spiral(noise=0.2)[0], spiral()[0])
    x, _ = spiral(50, 1, noise=0, dtype="float64")
    r = np.linspace(0, 1, 50)
    np.testing.assert_allclose(x, np.stack((r * np.sin(10 * r), r * np.cos(10 * r)), axis=1), atol=1e-12)
    with pytest.raises(DataError, match=r"^noise is"):
        spiral(noise=-1)
