import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    w, s, u, want = 1.0, 0.0, 0.0, []
    for g in [0.5, -1.0, 2.0]:
        s = 0.8 * s + 0.2 * g * g
        delta = math.sqrt(u + 1e-3) / math.sqrt(s + 1e-3) * g
        u = 0.8 * u + 0.2 * delta * delta
        w = w - 0.5 * delta
        want.append(w)
    found = run(nn.Adadelta(0.5, rho=0.8, epsilon=1e-3), [1.0], [[0.5], [-1.0], [2.0]])
    assert [p for (p,) in found] == pytest.approx(want, rel=precise)


def test_the_step_does_not_depend_on_the_unit_of_the_loss(run):
    small, large = (run(nn.Adadelta(epsilon=1e-12), [0.0], [[scale], [-2 * scale]])[-1][0] for scale in (1.0, 1000.0))
    assert small == pytest.approx(large, rel=1e-4)


def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(nn.Adadelta(), lambda torch, p: torch.optim.Adadelta(p, lr=1.0))
    torch_agrees(
        nn.Adadelta(0.5, rho=0.5, epsilon=1e-2),
        lambda torch, p: torch.optim.Adadelta(p, lr=0.5, rho=0.5, eps=1e-2),
    )


@pytest.mark.parametrize("rho", [1.0, -0.1, float("nan")])
def test_rho_outside_the_range_is_refused(rho):
    with pytest.raises(ValueError, match=r"rho must lie in \[0, 1\)"):
        nn.Adadelta(rho=rho)
