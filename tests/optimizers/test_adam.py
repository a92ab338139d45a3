import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    # Algorithm 1, line by line
    w, m, v, want = 1.0, 0.0, 0.0, []
    for t, g in enumerate([0.5, -1.0, 2.0], start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g * g
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.9**t)
        w = w - 0.1 * m_hat / (math.sqrt(v_hat) + 1e-3)
        want.append(w)
    found = run(nn.Adam(0.1, beta1=0.8, beta2=0.9, epsilon=1e-3), [1.0], [[0.5], [-1.0], [2.0]])
    assert [p for (p,) in found] == pytest.approx(want, rel=precise)


def test_the_first_step_is_the_rate_whatever_the_gradients_size(run):
    # both bias corrections cancel: m̂ = g, v̂ = g²
    (found,) = run(nn.Adam(0.1), [0.0, 0.0, 0.0], [[1e-3, -1.0, 1e6]])
    assert found == pytest.approx([-0.1, 0.1, -0.1], rel=1e-4)


def test_no_gradient_no_step(run):
    assert run(nn.Adam(0.1), [1.0], [[0.0], [0.0]]) == [[1.0], [1.0]]


def test_epsilon_stands_outside_the_root_of_v_hat(run, precise):
    (found,) = run(nn.Adam(1.0, epsilon=1.0), [0.0], [[2.0]])
    assert found == [pytest.approx(-2 / (2 + 1), rel=precise)]


def test_bias_corrections_are_made_in_float64_on_the_host():
    scalars = nn.Adam(0.001).scalars(6)
    assert all(type(value) is float for value in scalars.values())
    root = ((1 - 0.999**7) / (1 - 0.999)) ** 0.5
    assert scalars == {"lr": 0.001 * (1 - 0.9) / (1 - 0.9**7) * root, "epsilon": 1e-8 * root}
    assert nn.Adam(0.001).scalars(0) == {"lr": 0.001, "epsilon": 1e-8}  # m and v are those of one gradient


def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(nn.Adam(0.02), lambda torch, p: torch.optim.Adam(p, lr=0.02))
    torch_agrees(
        nn.Adam(0.02, beta1=0.5, beta2=0.9, epsilon=1e-3),
        lambda torch, p: torch.optim.Adam(p, lr=0.02, betas=(0.5, 0.9), eps=1e-3),
    )


@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
def test_betas_outside_the_range_are_refused(name, beta):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\)"):
        nn.Adam(**{name: beta})
