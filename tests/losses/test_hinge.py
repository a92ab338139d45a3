import numpy as np
import pytest

import arraynn as nn


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.hinge, rng.standard_normal(shape) * 2, (rng.uniform(size=shape) > 0.5).astype(float))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    y, side = rng.standard_normal((20, 3)) * 2, rng.choice([-1.0, 1.0], (20, 3))
    given = torch.tensor(y, requires_grad=True)
    expected = torch.relu(1 - torch.tensor(side) * given).mean()
    expected.backward()
    loss, backward = nn.hinge(y, side)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_zero_and_minus_one_are_the_same_side(xp, rng):
    y = xp.asarray(rng.standard_normal(4))
    by_label, label_backward = nn.hinge(y, xp.asarray([0, 1, 1, 0]))
    by_side, side_backward = nn.hinge(y, xp.asarray([-1, 1, 1, -1]))
    assert float(by_label) == float(by_side)
    assert np.array_equal(xp.to_numpy(label_backward()), xp.to_numpy(side_backward()))


def test_the_slope_at_the_margin_is_zero(xp):
    loss, backward = nn.hinge(xp.asarray([1.0, -1.0, 0.5, -0.5]), xp.asarray([1.0, 0.0, 1.0, 0.0]), total=1)
    assert float(loss) == 1.0
    assert xp.to_numpy(backward()).tolist() == [0.0, 0.0, -1.0, 1.0]


def test_huge_scores_are_fine(xp):
    loss, backward = nn.hinge(xp.asarray([1e30, -1e30], np.float32), xp.asarray([1.0, 1.0], np.float32), total=1)
    assert float(loss) == pytest.approx(1e30, rel=1e-6)
    assert xp.to_numpy(backward()).tolist() == [0.0, -1.0]


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.hinge(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


def test_the_dataclass_predicts_the_side_and_has_no_probabilities(xp):
    loss, y = nn.Hinge(), xp.asarray([-1.0, 0.0, 2.0])
    assert xp.to_numpy(loss.prediction(y)).tolist() == [False, False, True]
    assert loss.metric(y, xp.asarray([-1.0, 1.0, 1.0])) == pytest.approx(2 / 3)
    with pytest.raises(nn.DataError, match="not probabilities"):
        loss.probabilities(y)
