import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.Huber(0.7), rng.standard_normal(shape), rng.standard_normal(shape) * 2)


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.0])
def test_it_agrees_with_torch(rng, delta):
    torch = pytest.importorskip("torch")
    y, t = rng.standard_normal((2, 20, 3)) * 2
    given = torch.tensor(y, requires_grad=True)
    expected = torch.nn.functional.huber_loss(given, torch.tensor(t), delta=delta)
    expected.backward()
    loss, backward = nn.huber(y, t, delta=delta)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_the_two_pieces_meet_in_value_and_slope(xp):
    loss, backward = nn.huber(xp.asarray([2.0, 0.0, -2.0]), xp.asarray([0.0, 0.0, 0.0]), delta=2.0)
    assert float(loss) == pytest.approx((2 + 0 + 2) / 3, rel=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx([2 / 3, 0.0, -2 / 3], rel=1e-6)


def test_huge_errors_do_not_overflow_though_their_squares_would(xp):
    loss, backward = nn.huber(xp.asarray([1e30], np.float32), xp.asarray([-1e30], np.float32))
    assert float(loss) == pytest.approx(2e30, rel=1e-6)
    assert xp.to_numpy(backward()).tolist() == [1.0]


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.huber(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


@pytest.mark.parametrize("delta", [0.0, -1.0, float("inf"), float("nan")])
def test_delta_is_finite_and_positive(delta):
    with pytest.raises(ValueError, match="delta must be a finite number above 0, got"):
        nn.Huber(delta)


def test_the_dataclass_is_its_block_and_predicts_values(xp, rng):
    y, t = rng.standard_normal((2, 4, 2))
    check_backward(nn.Huber(), xp.asarray(y), xp.asarray(t))
    assert nn.Huber().prediction(y) is y
    assert nn.Huber().targets == "values"
