import math

import numpy as np
import pytest

import arraynn as nn


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.poisson, rng.standard_normal(shape), rng.poisson(2.0, shape).astype(float))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    z, y = rng.standard_normal((20, 3)), rng.poisson(2.0, (20, 3)).astype(float)
    given = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.poisson_nll_loss(given, torch.tensor(y))
    expected.backward()
    loss, backward = nn.poisson(z, y)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_it_is_least_where_the_rate_is_the_mean_count(xp):
    counts = xp.asarray([0.0, 3.0, 1.0, 4.0])
    loss, backward = nn.poisson(xp.asarray(np.full(4, math.log(2.0))), counts)
    assert float(loss) == pytest.approx(2 - 2 * math.log(2), rel=1e-6)
    assert float(np.sum(xp.to_numpy(backward()))) == pytest.approx(0.0, abs=1e-6)


def test_very_small_and_large_rates_are_exact(xp):
    loss, backward = nn.poisson(xp.asarray([-1000.0, 80.0]), xp.asarray([2.0, 0.0]), total=1)
    assert float(loss) == pytest.approx(math.exp(80.0), rel=1e-5)
    assert xp.to_numpy(backward()) == pytest.approx([-2.0, math.exp(80.0)], rel=1e-5)


def test_integer_counts_are_taken(xp):
    assert float(nn.poisson(xp.asarray([0.0, 0.0]), xp.asarray([0, 3]))[0]) == 1.0


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.poisson(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


def test_the_dataclass_predicts_rates(xp):
    assert xp.to_numpy(nn.Poisson().prediction(xp.asarray([0.0, math.log(3.0)]))) == pytest.approx([1.0, 3.0], rel=1e-6)
    assert nn.Poisson().targets == "values"
    assert nn.Poisson().metric is None  # R² of log rates against counts would be a number without a meaning
