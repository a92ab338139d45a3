import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward

LABELS = np.asarray([0, 2, 1, 1, 0, 2])


def distributions(rng, n=6, k=3):
    t = rng.uniform(size=(n, k))
    return t / t.sum(axis=1, keepdims=True)


def test_it_follows_the_loss_contract(keeps_the_rules, rng):
    keeps_the_rules(nn.softmax_cross_entropy, rng.standard_normal((6, 3)), LABELS)


def test_with_distributions_as_targets_it_follows_the_loss_contract(keeps_the_rules, rng):
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
def test_labels_of_every_integer_dtype_are_taken(rng, dtype):
    logits = rng.standard_normal((6, 3))
    loss, _ = nn.softmax_cross_entropy(logits, LABELS.astype(dtype))
    assert float(loss) == float(nn.softmax_cross_entropy(logits, LABELS)[0])


def test_logits_of_a_thousand_neither_overflow_nor_lose_the_loss(xp):
    logits = xp.asarray([[1000.0, -1000.0], [-1000.0, 1000.0]])
    loss, backward = nn.softmax_cross_entropy(logits, xp.asarray([1, 1]))
    assert float(loss) == 1000.0
    assert xp.to_numpy(backward()).tolist() == [[0.5, -0.5], [0.0, 0.0]]


def test_a_logit_of_minus_infinity_is_an_impossible_class(xp, rng):
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


def test_the_dataclass_has_the_right_link_and_predictions(xp, rng):
    loss, logits = nn.SoftmaxCrossEntropy(), xp.asarray(rng.standard_normal((6, 3)))
    assert loss.targets == "classes"
    assert np.array_equal(xp.to_numpy(loss.probabilities(logits)), xp.to_numpy(nn.softmax(logits)[0]))
    assert xp.to_numpy(loss.prediction(logits)).tolist() == np.argmax(xp.to_numpy(logits), axis=1).tolist()


def test_with_smoothing_it_follows_the_loss_contract(keeps_the_rules, rng):
    loss = nn.SoftmaxCrossEntropy(label_smoothing=0.2)
    keeps_the_rules(loss, rng.standard_normal((6, 3)), LABELS)
    keeps_the_rules(loss, rng.standard_normal((6, 3)), distributions(rng))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("ignored", [None, -100, 2])
def test_it_agrees_with_torch(rng, smoothing, ignored):
    torch = pytest.importorskip("torch")
    z, labels = rng.standard_normal((20, 5)) * 3, rng.integers(0, 5, 20)
    labels[3:6] = 2 if ignored is None else ignored
    given = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        given, torch.tensor(labels), ignore_index=-100 if ignored is None else ignored, label_smoothing=smoothing
    )
    expected.backward()
    loss, backward = nn.softmax_cross_entropy(z, labels, label_smoothing=smoothing, ignore_label=ignored)
    assert float(loss) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_smoothing_mixes_the_target_with_all_classes(xp, rng):
    z, t = rng.standard_normal((6, 3)), distributions(rng)
    loss, backward = nn.softmax_cross_entropy(xp.asarray(z), xp.asarray(t), label_smoothing=0.3)
    mixed, mixed_backward = nn.softmax_cross_entropy(xp.asarray(z), xp.asarray(0.7 * t + 0.1))
    assert float(loss) == pytest.approx(float(mixed), rel=1e-6)
    assert xp.to_numpy(backward()) == pytest.approx(xp.to_numpy(mixed_backward()), rel=1e-5, abs=1e-7)


def test_ignored_rows_change_nothing(xp, rng):
    z, labels = rng.standard_normal((6, 3)), np.asarray([0, -1, 1, -1, 0, 2])
    weight, held = rng.uniform(0.5, 2, 6), labels >= 0
    loss = nn.SoftmaxCrossEntropy(ignore_label=-1)
    check_backward(loss, xp.asarray(z), xp.asarray(labels))
    check_backward(loss, xp.asarray(z), xp.asarray(labels), sample_weight=xp.asarray(weight))
    for w in (None, weight):
        given = {} if w is None else {"sample_weight": xp.asarray(w)}
        kept = {} if w is None else {"sample_weight": xp.asarray(w[held])}
        value, backward = loss(xp.asarray(z), xp.asarray(labels), **given)
        other, other_backward = nn.softmax_cross_entropy(xp.asarray(z[held]), xp.asarray(labels[held]), **kept)
        assert float(value) == pytest.approx(float(other), rel=1e-6)
        assert xp.to_numpy(backward())[held] == pytest.approx(xp.to_numpy(other_backward()), rel=1e-5)
        assert not np.any(xp.to_numpy(backward())[~held])
        # what a caller that splits the batch divides by is the same number
        total = loss.total(xp.asarray(labels), **given)
        assert float(total) == pytest.approx(4 if w is None else np.sum(w[held]), rel=1e-6)
        assert float(loss(xp.asarray(z), xp.asarray(labels), total=total, **given)[0]) == float(value)


def test_with_all_rows_ignored_the_loss_is_0(xp):
    loss = nn.SoftmaxCrossEntropy(ignore_label=-1)
    labels = xp.asarray([-1, -1])
    for total in (None, loss.total(labels)):
        value, backward = loss(xp.asarray([[1.0, 2.0], [3.0, 4.0]]), labels, total=total)
        assert float(value) == 0.0
        assert not np.any(xp.to_numpy(backward()))


def test_only_integer_labels_can_be_ignored(rng):
    loss = nn.SoftmaxCrossEntropy(ignore_label=0)
    with pytest.raises(nn.DataError, match=r"takes integer labels, .*, got float64 of shape \(6, 3\)"):
        loss(rng.standard_normal((6, 3)), distributions(rng))


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, float("nan")])
def test_smoothing_lies_between_0_and_1(smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\], got"):
        nn.SoftmaxCrossEntropy(label_smoothing=smoothing)


@pytest.mark.parametrize("filled", [np.nan, -np.inf, np.inf])
def test_an_ignored_row_may_hold_anything(xp, filled):
    z, labels = np.zeros((3, 4)), np.asarray([2, -1, 0])
    clean = nn.softmax_cross_entropy(xp.asarray(z), xp.asarray(labels), ignore_label=-1, label_smoothing=0.1)
    z[1] = filled
    broken = nn.softmax_cross_entropy(xp.asarray(z), xp.asarray(labels), ignore_label=-1, label_smoothing=0.1)
    assert float(broken[0]) == float(clean[0])
    assert np.array_equal(xp.to_numpy(broken[1]()), xp.to_numpy(clean[1]()))


SEQUENCES = np.asarray([[0, 2, 1, -1], [1, -1, -1, -1], [2, 2, 0, 1]])


@pytest.mark.parametrize("weighted", ["no", "rows", "places"])
@pytest.mark.parametrize("ignore", [None, -1])
def test_positions_of_sequences_are_rows(xp, rng, weighted, ignore):
    labels = SEQUENCES if ignore is not None else np.abs(SEQUENCES)
    logits, weight = rng.standard_normal((3, 4, 3)), {"no": None, "rows": rng.random(3), "places": rng.random((3, 4))}
    own = weight[weighted]
    flat = None if own is None else np.broadcast_to(own.reshape(3, -1), (3, 4)).ravel()
    put = lambda a: None if a is None else xp.asarray(a)  # noqa: E731
    expected, expected_backward = nn.softmax_cross_entropy(
        put(logits.reshape(12, 3)), put(labels.ravel()), ignore_label=ignore, sample_weight=put(flat)
    )
    options = {"ignore_label": ignore, "sample_weight": put(own)}
    loss, backward = nn.softmax_cross_entropy(put(logits), put(labels), **options)
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(xp.to_numpy(backward()).reshape(12, 3), xp.to_numpy(expected_backward()), rtol=1e-5)
    check_backward(nn.softmax_cross_entropy, put(logits), put(labels), limit=10, **options)
    rule = nn.SoftmaxCrossEntropy(ignore_label=ignore)
    counted = (labels != ignore) * (np.ones((3, 4)) if own is None else np.broadcast_to(own.reshape(3, -1), (3, 4)))
    assert float(rule.total(put(labels), put(own))) == pytest.approx(counted.sum(), rel=1e-6)


def test_parts_of_sequences_add_up_with_the_wholes_total(rng):
    rule, logits, weight = nn.SoftmaxCrossEntropy(ignore_label=-1), rng.standard_normal((3, 4, 3)), rng.random(3)
    total = rule.total(SEQUENCES, weight)
    whole, _ = rule(logits, SEQUENCES, sample_weight=weight)
    parts = [rule(logits[s], SEQUENCES[s], sample_weight=weight[s], total=total)[0] for s in (slice(1), slice(1, 3))]
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-12)


def test_sequences_agree_with_torch(rng):
    torch = pytest.importorskip("torch")
    logits = rng.standard_normal((3, 4, 3))
    given = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(given.transpose(1, 2), torch.tensor(SEQUENCES), ignore_index=-1)
    expected.backward()
    loss, backward = nn.softmax_cross_entropy(logits, SEQUENCES, ignore_label=-1)
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-12)
    np.testing.assert_allclose(backward(), given.grad.numpy(), rtol=1e-10, atol=1e-13)


def test_distributions_of_sequences_are_targets_too(rng):
    logits, labels = rng.standard_normal((3, 4, 3)), np.abs(SEQUENCES)
    one, _ = nn.softmax_cross_entropy(logits, labels)
    assert float(nn.softmax_cross_entropy(logits, np.eye(3)[labels])[0]) == pytest.approx(float(one), rel=1e-14)
    assert nn.SoftmaxCrossEntropy().total(np.eye(3)[labels]) == 12


def test_only_padding_has_loss_0_and_gradient_0(xp, rng):
    loss, backward = nn.softmax_cross_entropy(
        xp.asarray(rng.standard_normal((2, 3, 4))), xp.asarray(np.full((2, 3), -1)), ignore_label=-1
    )
    assert float(loss) == 0
    assert not np.any(xp.to_numpy(backward()))


def test_sequences_that_do_not_fit_are_refused():
    logits = np.zeros((3, 4, 5))
    with pytest.raises(nn.ShapeError, match=r"expected \(3, 4\) integer classes .* put Flatten\(\) before the last"):
        nn.softmax_cross_entropy(logits, np.zeros(3, int))
    with pytest.raises(nn.ShapeError, match=r"sample_weight must be \(3,\) or \(3, 4\), got \(4,\)"):
        nn.softmax_cross_entropy(logits, np.zeros((3, 4), int), sample_weight=np.ones(4))
    with pytest.raises(nn.DataError, match=r"distributions \(N, K\) must be floats, got int64; integers are one class"):
        nn.softmax_cross_entropy(np.zeros((3, 4)), np.eye(4, dtype=int)[:3])
