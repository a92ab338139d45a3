import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward

LABELS = np.asarray([0, 2, 1, 1, 0, 2])


def probabilities(rng, n=6, k=3):
    p = rng.uniform(0.1, 1.0, size=(n, k))
    return p / p.sum(axis=1, keepdims=True)


def test_it_follows_the_loss_contract(keeps_the_rules, rng):
    keeps_the_rules(nn.cross_entropy, probabilities(rng), LABELS)


def test_with_distributions_as_targets_it_follows_the_loss_contract(keeps_the_rules, rng):
    keeps_the_rules(nn.CrossEntropy(), probabilities(rng), probabilities(rng))


def test_the_numbers_worked_by_hand(xp):
    p = xp.asarray([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
    loss, backward = nn.cross_entropy(p, xp.asarray([0, 1, 1]))
    assert float(loss) == pytest.approx(-math.log(0.7 * 0.5 * 0.9) / 3, rel=1e-6)
    dp = np.zeros((3, 3))
    dp[[0, 1, 2], [0, 1, 1]] = [-1 / 0.7 / 3, -1 / 0.5 / 3, -1 / 0.9 / 3]
    assert xp.to_numpy(backward()) == pytest.approx(dp, rel=1e-5)


def test_a_right_and_a_wrong_certainty_are_clipped_and_their_gradient_is_zero(xp):
    loss, backward = nn.cross_entropy(xp.asarray([[1.0, 0.0], [1.0, 0.0]]), xp.asarray([0, 1]))
    assert float(loss) == pytest.approx(-math.log(1e-7) / 2, rel=1e-5)
    assert not np.any(xp.to_numpy(backward()))


def test_small_probabilities_above_the_clip_have_their_gradient(xp):
    loss, backward = nn.cross_entropy(xp.asarray([[1e-6, 0.5]]), xp.asarray([0]))
    assert float(loss) == pytest.approx(-math.log(1e-6), rel=1e-5)
    assert xp.to_numpy(backward()) == pytest.approx(np.asarray([[-1e6, 0.0]]), rel=1e-5)


def test_float_class_targets_are_refused():
    with pytest.raises(nn.DataError, match="must be integers"):
        nn.cross_entropy(np.full((2, 3), 0.3), np.zeros(2))


def test_the_link_of_the_dataclass_is_the_identity(rng):
    p = probabilities(rng)
    assert nn.CrossEntropy().probabilities(p) is p
    assert nn.CrossEntropy().prediction(p).tolist() == np.argmax(p, axis=1).tolist()
    assert nn.CrossEntropy().targets == "classes"


def test_one_row_of_one_class_is_fine(xp):
    check_backward(nn.cross_entropy, xp.asarray([[0.4]]), xp.asarray([0]))
