import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("regularizer", [nn.L1(0.3), nn.L2(0.2), nn.L1L2(0.3, 0.2), nn.L1L2()], ids=str)
def test_backward_is_the_derivative_of_the_number_reported(xp, rng, regularizer):
    # The seed's row 15 reported λ Σ|w| and differentiated λ Σ w².
    if regularizer != nn.L1L2():  # whose value is a plain 0.0
        check_backward(regularizer, xp.asarray(rng.standard_normal((3, 2))))
    assert not np.any(xp.to_numpy(nn.L1L2()(xp.asarray([1.0]))[1]()))


def test_l2_is_not_halved_and_not_divided(xp):
    value, backward = nn.L2(0.5)(xp.asarray([[1.0, -3.0], [0.0, 2.0]]))
    assert float(value) == 0.5 * (1 + 9 + 4)
    assert xp.to_numpy(backward()).tolist() == [[1.0, -3.0], [0.0, 2.0]]
    assert xp.to_numpy(backward(2.0)).tolist() == [[2.0, -6.0], [0.0, 4.0]]


def test_l1_has_slope_zero_at_zero(xp):
    value, backward = nn.L1(2.0)(xp.asarray([-3.0, 0.0, -0.0, 1.0]))
    assert float(value) == 8.0
    assert xp.to_numpy(backward()).tolist() == [-2.0, 0.0, 0.0, 2.0]


def test_both_add_up(xp, rng):
    w = xp.asarray(rng.standard_normal(5))
    both, both_backward = nn.L1L2(0.3, 0.2)(w)
    first, second = nn.L1(0.3)(w), nn.L2(0.2)(w)
    assert float(both) == pytest.approx(float(first[0]) + float(second[0]), rel=1e-6)
    total = xp.to_numpy(first[1]()) + xp.to_numpy(second[1]())
    assert xp.to_numpy(both_backward()) == pytest.approx(total, rel=1e-6)


def test_float32_stays_float32(xp):
    value, backward = nn.L1L2(0.3, 0.2)(xp.asarray([1.0, 2.0], np.float32))
    assert "float32" in str(value.dtype)
    assert "float32" in str(backward().dtype)


def test_the_gradient_is_a_new_array(xp):
    w = xp.asarray([1.0, 2.0])
    _, backward = nn.L2(0.5)(w)
    assert backward() is not w
    assert backward() is not backward()


@pytest.mark.parametrize("make", [nn.L1, nn.L2, lambda v: nn.L1L2(l1=v), lambda v: nn.L1L2(l2=v)])
@pytest.mark.parametrize("value", [-1e-9, float("nan")])
def test_negative_strengths_are_refused(make, value):
    with pytest.raises(ValueError, match="must be at least 0, got"):
        make(value)
