import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
def test_it_follows_the_loss_contract(keeps_the_rules, rng, shape):
    keeps_the_rules(nn.sigmoid_cross_entropy, rng.standard_normal(shape), (rng.uniform(size=shape) > 0.5).astype(float))


def test_with_probabilities_as_targets_it_follows_the_loss_contract(keeps_the_rules, rng):
    keeps_the_rules(nn.SigmoidCrossEntropy(), rng.standard_normal((6, 2)), rng.uniform(size=(6, 2)))


def test_zero_logits_give_log_two(xp):
    loss, _ = nn.sigmoid_cross_entropy(xp.asarray(np.zeros((3, 2))), xp.asarray([[0.0, 1.0]] * 3))
    assert float(loss) == pytest.approx(math.log(2), rel=1e-6)


def test_the_gradient_is_the_probability_less_the_target(xp):
    loss, backward = nn.sigmoid_cross_entropy(xp.asarray([math.log(3.0), 0.0]), xp.asarray([1.0, 0.0]))
    assert float(loss) == pytest.approx((-math.log(0.75) - math.log(0.5)) / 2, rel=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx([(0.75 - 1) / 2, (0.5 - 0) / 2], rel=1e-6)


def test_it_is_sigmoid_and_binary_cross_entropy_in_one(xp, rng):
    z, t = xp.asarray(rng.standard_normal((6, 2))), xp.asarray((rng.uniform(size=(6, 2)) > 0.5).astype(float))
    p, sigmoid_backward = nn.sigmoid(z)
    loss, loss_backward = nn.binary_cross_entropy(p, t)
    fused, fused_backward = nn.sigmoid_cross_entropy(z, t)
    assert float(fused) == pytest.approx(float(loss), rel=1e-6)
    assert xp.to_numpy(fused_backward()) == pytest.approx(xp.to_numpy(sigmoid_backward(loss_backward())), rel=1e-4)


def test_logits_of_a_thousand_neither_overflow_nor_lose_the_loss(xp):
    z = xp.asarray([1000.0, 1000.0, -1000.0, -1000.0])
    loss, backward = nn.sigmoid_cross_entropy(z, xp.asarray([0.0, 1.0, 0.0, 1.0]))
    assert float(loss) == 500.0
    assert xp.to_numpy(backward()).tolist() == [0.25, 0.0, 0.0, -0.25]


def test_a_confident_right_prediction_keeps_its_small_loss(xp):
    loss, _ = nn.sigmoid_cross_entropy(xp.asarray([-30.0]), xp.asarray([0.0]))
    assert float(loss) == pytest.approx(math.exp(-30.0), abs=0, rel=1e-5)


def test_integer_and_boolean_targets_are_taken(xp, rng):
    z = xp.asarray(rng.standard_normal((2, 2)))
    values = [
        float(nn.sigmoid_cross_entropy(z, xp.asarray([[0, 1], [1, 1]], dtype=d))[0]) for d in ("int64", "float32")
    ]
    assert values[0] == values[1]


def test_a_column_against_a_row_is_refused(xp):
    with pytest.raises(nn.ShapeError, match=r"targets has shape \(4,\), outputs has \(4, 1\)"):
        nn.sigmoid_cross_entropy(xp.asarray(np.zeros((4, 1))), xp.asarray(np.zeros(4)))


def test_the_dataclass_has_the_right_link_and_predictions(xp):
    loss, z = nn.SigmoidCrossEntropy(), xp.asarray([-1.0, 0.0, 2.0])
    assert loss.targets == "binary"
    assert np.array_equal(xp.to_numpy(loss.probabilities(z)), xp.to_numpy(nn.sigmoid(z)[0]))
    assert xp.to_numpy(loss.prediction(z)).tolist() == [False, False, True]


def test_one_row_is_fine(xp):
    check_backward(nn.sigmoid_cross_entropy, xp.asarray([[0.4]]), xp.asarray([[1.0]]))
