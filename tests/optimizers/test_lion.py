import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    w, m, want = 1.0, 0.0, []
    for g in [0.5, -0.2, 0.0]:
        step = 0.8 * m + 0.2 * g
        w = w - 0.1 * (math.copysign(1.0, step) + 0.5 * w)
        m = 0.5 * m + 0.5 * g
        want.append(w)
    assert m == pytest.approx(0.0125)
    found = run(nn.Lion(0.1, beta1=0.8, beta2=0.5, weight_decay=0.5), [1.0], [[0.5], [-0.2], [0.0]])
    assert [p for (p,) in found] == pytest.approx(want, rel=precise)


def test_each_weight_moves_by_the_rate_or_not_at_all_without_gradient(run, precise):
    (found,) = run(nn.Lion(0.25), [1.0, 1.0, 1.0], [[1e-6, -1e6, 0.0]])
    assert found == pytest.approx([0.75, 1.25, 1.0], rel=precise)


def test_the_sign_is_that_of_the_old_average_and_the_gradient(run):
    # m is 0.5 after the first step, and 0.9 · 0.5 outweighs 0.1 · -4
    found = run(nn.Lion(1.0, beta1=0.9, beta2=0.5), [0.0], [[1.0], [-4.0], [-4.0]])
    assert found == [[-1.0], [-2.0], [-1.0]]


@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
def test_betas_outside_the_range_are_refused(name, beta):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\)"):
        nn.Lion(**{name: beta})


def test_decay_is_finite_and_not_negative():
    with pytest.raises(ValueError, match="weight_decay must be a finite number of at least 0"):
        nn.Lion(weight_decay=-0.1)
