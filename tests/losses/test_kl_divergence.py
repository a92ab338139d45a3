import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


def distributions(rng, n=6, k=3):
    t = rng.uniform(size=(n, k))
    return t / t.sum(axis=1, keepdims=True)


def test_it_follows_the_loss_contract(keeps_the_rules, rng):
    keeps_the_rules(nn.kl_divergence, rng.standard_normal((6, 3)), distributions(rng))


def test_with_classes_as_targets_it_follows_the_loss_contract(keeps_the_rules, rng):
    keeps_the_rules(nn.KLDivergence(), rng.standard_normal((6, 3)), np.asarray([0, 2, 1, 1, 0, 2]))


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    z, t = rng.standard_normal((20, 5)) * 3, distributions(rng, 20, 5)
    t[0] = [1.0, 0, 0, 0, 0]
    given = torch.tensor(z, requires_grad=True)
    logs = torch.log_softmax(given, dim=1)
    expected = torch.nn.functional.kl_div(logs, torch.tensor(t), reduction="batchmean")
    expected.backward()
    loss, backward = nn.kl_divergence(z, t)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_it_is_zero_where_the_softmax_is_the_target(xp):
    t = np.asarray([[0.7, 0.1, 0.2], [1.0, 0.0, 0.0]])
    loss, backward = nn.kl_divergence(xp.asarray([np.log(t[0]), [0.0, -np.inf, -np.inf]]), xp.asarray(t))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx(np.zeros((2, 3)), abs=1e-6)


def test_it_is_the_cross_entropy_less_the_entropy_of_the_targets(xp, rng):
    z, t = rng.standard_normal((6, 3)), distributions(rng)
    loss, backward = nn.kl_divergence(xp.asarray(z), xp.asarray(t))
    other, other_backward = nn.softmax_cross_entropy(xp.asarray(z), xp.asarray(t))
    assert float(loss) == pytest.approx(float(other) + np.mean(np.sum(t * np.log(t), axis=1)), rel=1e-5)
    assert xp.to_numpy(backward()) == pytest.approx(xp.to_numpy(other_backward()), rel=1e-6, abs=1e-9)


def test_logits_of_a_thousand_and_targets_of_zero_are_fine(xp):
    z, t = xp.asarray([[1000.0, -1000.0]]), xp.asarray([[0.0, 1.0]])
    loss, backward = nn.kl_divergence(z, t)
    assert float(loss) == 2000.0
    assert xp.to_numpy(backward()).tolist() == [[1.0, -1.0]]


def test_a_logit_of_minus_infinity_is_an_impossible_class(xp):
    logits = xp.asarray([[0.0, -np.inf, 0.0]])
    loss, _ = nn.kl_divergence(logits, xp.asarray([[1.0, 0.0, 0.0]]))
    assert float(loss) == pytest.approx(math.log(2), rel=1e-6)
    check_backward(nn.kl_divergence, logits, xp.asarray([[0.5, 0.0, 0.5]]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(nn.ShapeError, match="outputs"):
        nn.kl_divergence(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(nn.DataError, match="must be integers"):
        nn.kl_divergence(np.zeros((4, 3)), np.zeros(4))


def test_the_dataclass_has_the_right_link(xp, rng):
    z = xp.asarray(rng.standard_normal((6, 3)))
    assert nn.KLDivergence().targets == "classes"
    assert np.array_equal(xp.to_numpy(nn.KLDivergence().probabilities(z)), xp.to_numpy(nn.softmax(z)[0]))
