import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    gradients, s, w, want = [0.5, -1.0, 2.0], 0.0, 1.0, []
    for g in gradients:
        s = 0.8 * s + 0.2 * g**2
        w = w - 0.1 * g / (math.sqrt(s) + 1e-3)
        want.append(w)
    assert want[0] == pytest.approx(1 - 0.05 / (math.sqrt(0.05) + 1e-3))
    found = run(nn.RMSProp(0.1, rho=0.8, epsilon=1e-3), [1.0], [[g] for g in gradients])
    assert [p for (p,) in found] == pytest.approx(want, rel=precise)


def test_no_gradient_no_step(run):
    assert run(nn.RMSProp(0.1), [1.0], [[0.0], [0.0]]) == [[1.0], [1.0]]


def test_a_steady_gradient_ends_in_steps_of_the_rate(run):
    found = run(nn.RMSProp(0.1, rho=0.5), [0.0], [[3.0]] * 30)
    assert found[-1][0] - found[-2][0] == pytest.approx(-0.1, rel=1e-4)


def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(
        nn.RMSProp(0.01, rho=0.95, epsilon=1e-8),
        lambda torch, p: torch.optim.RMSprop(p, lr=0.01, alpha=0.95, eps=1e-8),
    )


@pytest.mark.parametrize("rho", [1.0, -0.1, float("nan")])
def test_rho_outside_the_range_is_refused(rho):
    with pytest.raises(ValueError, match=r"rho must lie in \[0, 1\)"):
        nn.RMSProp(rho=rho)
