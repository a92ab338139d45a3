import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward

LABELS = np.asarray([0, 2, 1, 1, 0, 2])


def distributions(rng, n=6, k=3):
    t = rng.uniform(size=(n, k))
    return t / t.sum(axis=1, keepdims=True)


def test_it_keeps_the_rules_of_losses(keeps_the_rules, rng):
    keeps_the_rules(nn.softmax_cross_entropy, rng.standard_normal((6, 3)), LABELS)


def test_it_keeps_them_with_distributions_as_targets(keeps_the_rules, rng):
    keeps_the_rules(nn.SoftmaxCrossEntropy(), rng.standard_normal((6, 3)), distributions(rng))


def test_equal_logits_give_log_k(xp):
    loss, _ = nn.softmax_cross_entropy(xp.asarray(np.full((2, 5), 3.0)), xp.asarray([0, 4]))
    assert float(loss) == pytest.approx(math.log(5), rel=1e-6)


def test_the_gradient_is_the_probabilities_less_the_target(xp):
    # logits whose softmax are the probabilities (.7 .1 .2), (.1 .5 .4), (.02 .9 .08)
    p = np.asarray([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
    loss, backward = nn.softmax_cross_entropy(xp.asarray(np.log(p)), xp.asarray([0, 1, 1]))
    assert float(loss) == pytest.approx(-math.log(0.7 * 0.5 * 0.9) / 3, rel=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx((p - np.eye(3)[[0, 1, 1]]) / 3, rel=1e-5)


def test_it_is_softmax_and_cross_entropy_in_one(xp, rng):
    logits, labels = xp.asarray(rng.standard_normal((6, 3))), xp.asarray(LABELS)
    p, softmax_backward = nn.softmax(logits)
    loss, loss_backward = nn.cross_entropy(p, labels)
    fused, fused_backward = nn.softmax_cross_entropy(logits, labels)
    assert float(fused) == pytest.approx(float(loss), rel=1e-6)
    two_steps = xp.to_numpy(softmax_backward(loss_backward()))
    assert xp.to_numpy(fused_backward()) == pytest.approx(two_steps, rel=1e-4, abs=1e-7)


def test_one_hot_targets_are_integer_targets(xp, rng):
    logits = xp.asarray(rng.standard_normal((6, 3)))
    by_class, class_backward = nn.softmax_cross_entropy(logits, xp.asarray(LABELS))
    by_row, row_backward = nn.softmax_cross_entropy(logits, xp.asarray(np.eye(3)[LABELS]))
    assert float(by_class) == float(by_row)
    assert np.array_equal(xp.to_numpy(class_backward()), xp.to_numpy(row_backward()))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_of_any_integer_dtype_do(rng, dtype):
    logits = rng.standard_normal((6, 3))
    loss, _ = nn.softmax_cross_entropy(logits, LABELS.astype(dtype))
    assert float(loss) == float(nn.softmax_cross_entropy(logits, LABELS)[0])


def test_logits_of_a_thousand_neither_overflow_nor_lose_the_loss(xp):
    logits = xp.asarray([[1000.0, -1000.0], [-1000.0, 1000.0]])
    loss, backward = nn.softmax_cross_entropy(logits, xp.asarray([1, 1]))
    assert float(loss) == 1000.0
    assert xp.to_numpy(backward()).tolist() == [[0.5, -0.5], [0.0, 0.0]]


def test_a_logit_of_minus_infinity_is_a_class_that_cannot_be(xp, rng):
    logits = xp.asarray([[0.0, -np.inf, 0.0], [-np.inf, 1.0, 2.0]])
    loss, backward = nn.softmax_cross_entropy(logits, xp.asarray([0, 2]))
    assert float(loss) == pytest.approx((math.log(2) + math.log(1 + math.exp(-1))) / 2, rel=1e-6)
    assert xp.to_numpy(backward())[0].tolist() == [-0.25, 0.0, 0.25]
    check_backward(nn.softmax_cross_entropy, logits, xp.asarray([0, 2]))


def test_float_class_targets_are_refused(xp):
    with pytest.raises(nn.DataError, match=r"class targets \(N,\) must be integers, got"):
        nn.softmax_cross_entropy(xp.asarray(np.zeros((2, 3))), xp.asarray([0.0, 1.0]))


@pytest.mark.parametrize(("outputs", "targets"), [((4, 3), (4, 1)), ((4, 3), (3,)), ((4, 3), (4, 2)), ((4,), (4,))])
def test_shapes_that_do_not_fit_are_refused(outputs, targets):
    with pytest.raises(nn.ShapeError, match="outputs"):
        nn.softmax_cross_entropy(np.zeros(outputs), np.zeros(targets, dtype=np.int64))


def test_the_dataclass_knows_its_link_and_its_predictions(xp, rng):
    loss, logits = nn.SoftmaxCrossEntropy(), xp.asarray(rng.standard_normal((6, 3)))
    assert loss.targets == "classes"
    assert np.array_equal(xp.to_numpy(loss.probabilities(logits)), xp.to_numpy(nn.softmax(logits)[0]))
    assert xp.to_numpy(loss.prediction(logits)).tolist() == np.argmax(xp.to_numpy(logits), axis=1).tolist()
