import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    # ρ is 2 / 0.1 - 1 = 19; ρ_1, ρ_2, ρ_3 are 1, 1.947, 2.863: too little is known of the variance, so plain momentum
    w, m, want = 1.0, 0.0, []
    for t, g in enumerate([0.5, -1.0, 2.0], start=1):
        m = 0.8 * m + 0.2 * g
        w = w - 0.1 * m / (1 - 0.8**t)
        want.append(w)
    found = run(nn.RAdam(0.1, beta1=0.8, beta2=0.9), [1.0], [[0.5], [-1.0], [2.0]])
    assert [p for (p,) in found] == pytest.approx(want, rel=precise)


def test_late_steps_are_rectified(run, precise):
    gradients = [0.5, -1.0, 2.0, 0.3, -0.7, 1.1, 0.9]
    w, m, v, seen, most = 1.0, 0.0, 0.0, [], 19.0
    for t, g in enumerate(gradients, start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g * g
        rho = most - 2 * t * 0.9**t / (1 - 0.9**t)
        seen.append(rho)
        m_hat = m / (1 - 0.8**t)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
            w = w - 0.1 * r * m_hat * math.sqrt(1 - 0.9**t) / (math.sqrt(v) + 1e-3)
        else:
            w = w - 0.1 * m_hat
    assert seen[4] < 5 < seen[5]
    found = run(nn.RAdam(0.1, beta1=0.8, beta2=0.9, epsilon=1e-3), [1.0], [[g] for g in gradients])
    assert found[-1] == [pytest.approx(w, rel=10 * precise)]


def test_it_branches_on_the_host_only():
    early, late = nn.RAdam(0.1).scalars(0), nn.RAdam(0.1).scalars(100)
    assert early["adaptive"] == 0.0 < early["plain"]
    assert late["plain"] == 0.0 < late["adaptive"]


def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(nn.RAdam(0.02), lambda torch, p: torch.optim.RAdam(p, lr=0.02))
    torch_agrees(
        nn.RAdam(0.02, beta1=0.5, beta2=0.9, epsilon=1e-3),
        lambda torch, p: torch.optim.RAdam(p, lr=0.02, betas=(0.5, 0.9), eps=1e-3),
    )


@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
def test_betas_outside_the_range_are_refused(name, beta):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\)"):
        nn.RAdam(**{name: beta})
