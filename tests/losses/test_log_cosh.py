import math

import numpy as np
import pytest

import arraynn as nn


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.log_cosh, rng.standard_normal(shape), rng.standard_normal(shape) * 2)


def test_it_is_the_logarithm_of_cosh(rng):
    torch = pytest.importorskip("torch")
    y, t = rng.standard_normal((2, 20, 3)) * 3
    given = torch.tensor(y, requires_grad=True)
    expected = torch.log(torch.cosh(given - torch.tensor(t))).mean()
    expected.backward()
    loss, backward = nn.log_cosh(y, t)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_far_from_the_target_it_is_the_distance_less_log_two(xp):
    loss, backward = nn.log_cosh(xp.asarray([1e30, -1e30], np.float32), xp.asarray([0.0, 0.0], np.float32))
    assert float(loss) == pytest.approx(1e30, rel=1e-6)
    assert xp.to_numpy(backward()).tolist() == [0.5, -0.5]
    assert float(nn.log_cosh(xp.asarray([1000.0]), xp.asarray([0.0]))[0]) == pytest.approx(1000 - math.log(2), rel=1e-6)


def test_near_the_target_it_is_half_the_square():
    assert float(nn.log_cosh(np.asarray([1e-4]), np.asarray([0.0]))[0]) == pytest.approx(0.5e-8, rel=1e-7)
    assert float(nn.log_cosh(np.asarray([0.0]), np.asarray([0.0]))[0]) == 0.0


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.log_cosh(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


def test_the_dataclass_is_its_block_and_predicts_values(keeps_the_rules, rng):
    y, t = rng.standard_normal((2, 6, 2))
    keeps_the_rules(nn.LogCosh(), y, t)
    assert nn.LogCosh().prediction(y) is y
    assert nn.LogCosh().targets == "values"
