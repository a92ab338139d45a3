import math

import numpy as np
import pytest

import arraynn as nn


@pytest.mark.parametrize("loss", [nn.focal, nn.Focal(gamma=0.5, alpha=None), nn.Focal(gamma=3.0, alpha=0.6)])
@pytest.mark.parametrize("shape", [(6,), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, loss, shape):
    keeps_the_rules(loss, rng.standard_normal(shape), (rng.uniform(size=shape) > 0.5).astype(float))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_it_agrees_with_the_papers_formula_in_torch(rng, gamma, alpha):
    torch = pytest.importorskip("torch")
    z, t = rng.standard_normal((20, 3)) * 3, (rng.uniform(size=(20, 3)) > 0.7).astype(float)
    given, target = torch.tensor(z, requires_grad=True), torch.tensor(t)
    p = torch.sigmoid(given)
    right = p * target + (1 - p) * (1 - target)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(given, target, reduction="none")
    values = entropy * (1 - right) ** gamma
    if alpha is not None:
        values = values * (alpha * target + (1 - alpha) * (1 - target))
    values.mean().backward()
    loss, backward = nn.focal(z, t, gamma=gamma, alpha=alpha)
    assert float(loss) == pytest.approx(values.mean().item(), rel=1e-10)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_without_gamma_and_alpha_it_is_the_cross_entropy(xp, rng):
    z, t = xp.asarray(rng.standard_normal((6, 2))), xp.asarray((rng.uniform(size=(6, 2)) > 0.5).astype(float))
    loss, backward = nn.focal(z, t, gamma=0.0, alpha=None)
    other, other_backward = nn.sigmoid_cross_entropy(z, t)
    assert float(loss) == pytest.approx(float(other), rel=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx(xp.to_numpy(other_backward()), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_logits_of_a_thousand_neither_overflow_nor_lose_the_loss(xp, gamma):
    z = xp.asarray([1000.0, 1000.0, -1000.0, -1000.0])
    loss, backward = nn.focal(z, xp.asarray([0.0, 1.0, 0.0, 1.0]), gamma=gamma, alpha=None)
    assert float(loss) == 500.0
    assert xp.to_numpy(backward()).tolist() == [0.25, 0.0, 0.0, -0.25]


def test_easy_rows_hardly_count(xp):
    easy, hard = math.log(9.0), 0.0  # p is 0.9 and 0.5
    losses = [float(nn.focal(xp.asarray([z]), xp.asarray([1.0]), alpha=None)[0]) for z in (easy, hard)]
    assert losses == pytest.approx([-(0.1**2) * math.log(0.9), -(0.5**2) * math.log(0.5)], rel=1e-5)


def test_alpha_weighs_the_ones(xp):
    z = xp.asarray([0.0])
    one, zero = (float(nn.focal(z, xp.asarray([t]), alpha=0.25)[0]) for t in (1.0, 0.0))
    assert zero == pytest.approx(3 * one, rel=1e-6)


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.focal(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


@pytest.mark.parametrize("wrong", [{"gamma": -1.0}, {"gamma": float("inf")}, {"alpha": -0.1}, {"alpha": 1.1}])
def test_hyperparameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        nn.Focal(**wrong)


def test_the_dataclass_has_the_right_link_and_predictions(xp):
    loss, z = nn.Focal(), xp.asarray([-1.0, 0.0, 2.0])
    assert loss.targets == "binary"
    assert np.array_equal(xp.to_numpy(loss.probabilities(z)), xp.to_numpy(nn.sigmoid(z)[0]))
    assert xp.to_numpy(loss.prediction(z)).tolist() == [False, False, True]
