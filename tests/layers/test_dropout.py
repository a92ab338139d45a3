import numpy as np
import pytest

import arraynn as nn
from arraynn.random import quantized
from arraynn.testing import check_backward

KEY = nn.Key(7).fold_in(3)


def test_backward_is_the_derivative(xp, rng):
    check_backward(nn.dropout, xp.asarray(rng.standard_normal((4, 5))), 0.3, KEY)
    check_backward(nn.dropout, xp.asarray(rng.standard_normal((4, 5))), 0.3, None)


def test_used_twice_both_gradients_are_right(xp, rng, twice):
    def block(x):
        return nn.dropout(x, 0.3, KEY)

    check_backward(twice(block), xp.asarray(rng.standard_normal((4, 5))))


def test_kept_elements_are_scaled_and_the_rest_is_zero(xp):
    y, _ = nn.dropout(xp.asarray(np.ones((100, 100))), 0.5, KEY)
    y = xp.to_numpy(y)
    assert set(np.unique(y)) == {0.0, 2.0}
    assert abs(np.mean(y == 0) - 0.5) < 0.02


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.9])
def test_rate_is_the_probability_of_dropping(rate):
    y, _ = nn.dropout(np.ones((300, 301)), rate, KEY)
    deviation = (rate * (1 - rate) / y.size) ** 0.5
    assert abs(np.mean(y == 0) - rate) < 4 * deviation
    assert abs(np.mean(y) - 1) < 4 * deviation / (1 - rate)


def test_the_scale_matches_the_rounded_rate_so_that_the_mean_is_exact():
    for rate in (0.1, 1 / 3, 0.7, 1e-6, 1 - 1e-9):
        threshold, scale = quantized(rate)
        assert 0 <= threshold < 65536
        assert (65536 - threshold) / 65536 * scale == 1.0
        assert abs(threshold / 65536 - rate) <= 2**-16


def test_backward_uses_the_mask_of_forward(xp, rng):
    y, backward = nn.dropout(xp.asarray(np.ones((6, 7))), 0.4, KEY)
    assert np.array_equal(xp.to_numpy(backward(xp.asarray(np.ones((6, 7))))), xp.to_numpy(y))


def test_the_same_key_drops_the_same_and_another_key_does_not():
    x = np.ones((20, 20))
    assert np.array_equal(nn.dropout(x, 0.5, KEY)[0], nn.dropout(x, 0.5, nn.Key(7).fold_in(3))[0])
    assert not np.array_equal(nn.dropout(x, 0.5, KEY)[0], nn.dropout(x, 0.5, nn.Key(7).fold_in(4))[0])


def test_rows_split_into_blocks_have_the_mask_of_the_whole_batch(xp):
    x = np.ones((7, 5))
    whole = xp.to_numpy(nn.dropout(xp.asarray(x), 0.5, KEY)[0])
    for cut in (0, 1, 3, 7):
        parts = [nn.dropout(xp.asarray(x[rows]), 0.5, KEY.rows(start))[0] for rows, start in _halves(cut)]
        assert np.array_equal(np.concatenate([xp.to_numpy(part) for part in parts]), whole)


def _halves(cut):
    return (slice(None, cut), 0), (slice(cut, None), cut)


def test_masks_are_the_same_bits_on_every_kind_of_array(xp, rng):
    x = rng.standard_normal((9, 4, 3)).astype(np.float32)
    here, there = nn.dropout(xp.asarray(x), 0.35, KEY)[0], nn.dropout(x, 0.35, KEY)[0]
    assert np.array_equal(xp.to_numpy(here), there)


def test_without_a_key_or_at_rate_0_the_input_is_returned(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 3)))
    assert nn.dropout(x, 0.5, None)[0] is x
    assert nn.dropout(x, 0.0, KEY)[0] is x
    assert nn.Dropout(0.5)({}, x)[0] is x


def test_a_rate_that_rounds_to_0_drops_nothing():
    x = np.ones((50, 50))
    assert np.array_equal(nn.dropout(x, 1e-9, KEY)[0], x)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3,), (2, 0)])
def test_empty_batches_and_odd_shapes_are_fine(xp, rng, shape):
    check_backward(nn.dropout, xp.asarray(rng.standard_normal(shape)), 0.5, KEY)


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), 5])
def test_a_rate_outside_the_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"probability of dropping and must lie in \[0, 1\)"):
        nn.Dropout(rate)


def test_the_layer_agrees_with_its_function(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 3)))
    check_backward(nn.Dropout(0.3), x, key=KEY)
    check_backward(nn.Dropout(0.3), x)
    assert np.array_equal(xp.to_numpy(nn.Dropout(0.3)({}, x, KEY)[0]), xp.to_numpy(nn.dropout(x, 0.3, KEY)[0]))
