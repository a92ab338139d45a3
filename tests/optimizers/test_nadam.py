import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    def momentum(t):
        return 0.8 * (1 - 0.5 * 0.96 ** (t * 0.1))

    w, m, v, product, want = 1.0, 0.0, 0.0, 1.0, []
    for t, g in enumerate([0.5, -1.0, 2.0], start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + 0.1 * g * g
        product *= momentum(t)
        m_hat = momentum(t + 1) * m / (1 - product * momentum(t + 1)) + (1 - momentum(t)) * g / (1 - product)
        w = w - 0.1 * m_hat / (math.sqrt(v / (1 - 0.9**t)) + 1e-3)
        want.append(w)
    optimizer = nn.NAdam(0.1, beta1=0.8, beta2=0.9, epsilon=1e-3, momentum_decay=0.1)
    assert [p for (p,) in run(optimizer, [1.0], [[0.5], [-1.0], [2.0]])] == pytest.approx(want, rel=precise)


@pytest.fixture
def torch_in_float64():
    """torch keeps its product of momenta in the default dtype, float32 unless told."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("torch_in_float64")
def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(nn.NAdam(0.02), lambda torch, p: torch.optim.NAdam(p, lr=0.02))
    torch_agrees(
        nn.NAdam(0.02, beta1=0.5, beta2=0.9, epsilon=1e-3, momentum_decay=0.5),
        lambda torch, p: torch.optim.NAdam(p, lr=0.02, betas=(0.5, 0.9), eps=1e-3, momentum_decay=0.5),
    )


def test_late_scalars_have_the_full_momentum():
    scalars = nn.NAdam(0.1).scalars(10_000_000)  # and they come at once
    assert scalars == pytest.approx({"ahead": 0.1 * 0.9 * 0.1, "here": 0.1 * 0.1, "root": 0.001**-0.5})


def test_the_truncated_product_of_momenta_equals_the_whole_one():
    optimizer = nn.NAdam(1.0)
    for step in (10, 360, 1000):
        product = math.prod(optimizer._momentum(i) for i in range(1, step + 2))
        assert optimizer.scalars(step)["here"] == (1 - optimizer._momentum(step + 1)) / (1 - product)


@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
def test_betas_outside_the_range_are_refused(name, beta):
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\)"):
        nn.NAdam(**{name: beta})


def test_momentum_decay_is_finite_and_not_negative():
    with pytest.raises(ValueError, match="momentum_decay must be a finite number of at least 0"):
        nn.NAdam(momentum_decay=-1.0)
