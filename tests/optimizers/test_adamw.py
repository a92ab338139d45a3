import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    w, m, v, want = 1.0, 0.0, 0.0, []
    for t, g in enumerate([0.5, -1.0, 2.0], start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g * g
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.9**t)
        w = w - 0.1 * 0.05 * w - 0.1 * m_hat / (math.sqrt(v_hat) + 1e-3)
        want.append(w)
    optimizer = nn.AdamW(0.1, beta1=0.8, beta2=0.9, epsilon=1e-3, weight_decay=0.05)
    assert [p for (p,) in run(optimizer, [1.0], [[0.5], [-1.0], [2.0]])] == pytest.approx(want, rel=precise)


def test_without_a_gradient_weights_only_decay(run, precise):
    found = run(nn.AdamW(0.1, weight_decay=0.5), [1.0, -2.0], [[0.0, 0.0]] * 2)
    assert found[0] == pytest.approx([0.95, -1.9], rel=precise)
    assert found[1] == pytest.approx([0.95**2, -2 * 0.95**2], rel=precise)


def test_without_decay_it_is_adam(run):
    gradients = [[0.5, 3.0], [-1.0, 2.0]]
    assert run(nn.AdamW(0.1, weight_decay=0.0), [1.0, 2.0], gradients) == run(nn.Adam(0.1), [1.0, 2.0], gradients)


def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(nn.AdamW(0.02), lambda torch, p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.01))
    torch_agrees(
        nn.AdamW(0.02, beta1=0.5, beta2=0.9, epsilon=1e-3, weight_decay=0.5),
        lambda torch, p: torch.optim.AdamW(p, lr=0.02, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.5),
    )


@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
def test_betas_outside_the_range_are_refused(name, beta):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\)"):
        nn.AdamW(**{name: beta})


@pytest.mark.parametrize("decay", [-0.1, float("inf"), float("nan")])
def test_decay_is_finite_and_not_negative(decay):
    with pytest.raises(ValueError, match="weight_decay must be a finite number of at least 0"):
        nn.AdamW(weight_decay=decay)
