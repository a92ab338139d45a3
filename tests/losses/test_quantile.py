import numpy as np
import pytest

import arraynn as nn


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.Quantile(0.8), rng.standard_normal(shape), rng.standard_normal(shape) * 2)


def test_it_is_the_larger_of_its_two_lines(rng):
    torch = pytest.importorskip("torch")
    y, t = rng.standard_normal((2, 20, 3))
    given = torch.tensor(y, requires_grad=True)
    error = torch.tensor(t) - given
    expected = torch.maximum(0.3 * error, -0.7 * error).mean()
    expected.backward()
    loss, backward = nn.quantile(y, t, q=0.3)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_the_slope_at_the_kink_is_zero(xp):
    loss, backward = nn.quantile(xp.asarray([1.0, 4.0, 5.0]), xp.asarray([3.0, 2.0, 5.0]), q=0.75, total=1)
    assert float(loss) == 2.0
    assert xp.to_numpy(backward()).tolist() == [-0.75, 0.25, 0.0]


def test_at_one_half_it_is_half_the_mean_absolute_error(xp, rng):
    y, t = (xp.asarray(a) for a in rng.standard_normal((2, 6, 3)))
    loss, backward = nn.quantile(y, t)
    other, other_backward = nn.mean_absolute_error(y, t)
    assert float(loss) == pytest.approx(float(other) / 2, rel=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx(xp.to_numpy(other_backward()) / 2, rel=1e-6)


def test_it_is_least_at_the_quantile(rng):
    t = rng.exponential(size=1001)
    at = np.linspace(0, 4, 4001)
    losses = [float(nn.quantile(np.full(1001, y), t, q=0.9)[0]) for y in at]
    assert at[np.argmin(losses)] == pytest.approx(np.quantile(t, 0.9), abs=0.002)


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.quantile(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


@pytest.mark.parametrize("q", [0.0, 1.0, -0.5, float("nan")])
def test_q_lies_between_0_and_1(q):
    with pytest.raises(ValueError, match=r"q is .* must lie in \(0, 1\), got"):
        nn.Quantile(q)
