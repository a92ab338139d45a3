import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.learn.book import (
    BookAdam,
    BookDense,
    BookDropout,
    BookL1L2,
    BookRMSProp,
    BookSoftmaxCrossEntropy,
    Decay,
    Stream,
    rounded_normal,
)
from arraynn.learn.book.blocks import BookAccuracy, drawn
from arraynn.testing import check_backward


def test_the_stream_is_the_legacy_generators_rounded_to_float32():
    stream, legacy = Stream(0), np.random.RandomState(0)
    assert stream.randn(5).dtype == np.float32
    assert np.array_equal(stream.randn(3, 2), legacy.randn(11)[5:].reshape(3, 2).astype("float32"))


def test_weights_are_rounded_before_the_product_and_after_it():
    weights = rounded_normal(0.1)(Stream(0), (2, 3))
    assert weights.dtype == np.float32
    assert np.array_equal(weights, np.float32(0.1) * np.random.RandomState(0).randn(2, 3).astype("float32"))


def test_products_are_computed_in_float64_and_rounded(rng):
    x, dy = (rng.standard_normal(shape).astype("float32") for shape in [(50, 30), (50, 4)])
    layer = BookDense(4)
    params, _ = layer.init(rng, (30,))
    y, backward = layer(params, x)
    dx, grads = backward(dy)
    wide = params["weight"].astype("float64")
    assert np.array_equal(y, (x.astype("float64") @ wide).astype("float32"))
    assert np.array_equal(dx, (dy.astype("float64") @ wide.T).astype("float32"))
    assert np.array_equal(grads["weight"], (x.T.astype("float64") @ dy.astype("float64")).astype("float32"))
    assert {y.dtype, dx.dtype, *(g.dtype for g in grads.values())} == {np.dtype("float32")}
    assert backward(dy, need_dx=False)[0] is None


def test_the_books_dense_layer_and_loss_have_the_right_gradients(rng):
    check_backward(BookDense(3), rng.standard_normal((5, 4)))
    labels = rng.integers(0, 3, 5)
    check_backward(lambda z: BookSoftmaxCrossEntropy()(z, labels), rng.standard_normal((5, 3)))


def test_a_batch_of_the_book_is_never_split():
    network = nn.Sequential(BookDense(4), nn.ReLU(), BookDropout(0.1, Stream(0)))
    assert network.couples_rows
    assert BookDropout(0.1, Stream(0)).couples_rows


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.45])
def test_masks_are_those_of_the_legacy_binomial(rate):
    a, b = np.random.RandomState(3), np.random.RandomState(3)
    keep = 1 - rate
    assert np.array_equal(drawn(a, keep, (300, 64)), a.__class__(3).binomial(1, keep, (300, 64)))
    b.binomial(1, keep, (300, 64))
    assert a.randn() == b.randn()  # and the streams go on alike


def test_dropout_scales_kept_elements_and_does_nothing_in_inference(rng):
    x = np.ones((200, 50), "float32")
    layer = BookDropout(0.1, Stream(0))
    y, backward = layer({}, x, nn.Key(0))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.9)}
    assert math.isclose(y.mean(), 1, rel_tol=0.02)
    assert np.array_equal(backward(x)[0], y)
    assert not np.array_equal(layer({}, x, nn.Key(0))[0], y)  # the stream goes on
    assert layer({}, x)[0] is x


def test_the_slope_of_the_penalty_at_0_is_the_books():
    w = np.asarray([-2.0, 0.0, 3.0])
    assert BookL1L2(l1=0.5)(w)[1]().tolist() == [-0.5, 0.5, 0.5]
    assert nn.L1(0.5)(w)[1]().tolist() == [-0.5, 0.0, 0.5]
    assert BookL1L2(l1=0.5, l2=0.25)(w)[1](2.0).tolist() == [-3.0, 1.0, 4.0]
    assert BookL1L2(l1=0.5)(w)[0] == nn.L1(0.5)(w)[0]


def test_the_loss_equals_the_librarys_except_for_rounding_and_the_clip(rng):
    z, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    own, library = BookSoftmaxCrossEntropy()(z, labels), nn.softmax_cross_entropy(z, labels)
    assert own[0] == pytest.approx(library[0], rel=1e-12)
    assert own[1](2.0) == pytest.approx(library[1](2.0), rel=1e-12)
    assert BookSoftmaxCrossEntropy()(np.asarray([[0.0, 1000.0]]), np.asarray([0]))[0] == pytest.approx(-math.log(1e-7))
    with pytest.raises(ValueError, match="no sample_weight"):
        BookSoftmaxCrossEntropy()(z, labels, sample_weight=np.ones(6))


def test_accuracy_uses_probabilities_in_which_close_logits_tie():
    z = np.asarray([[0.1, np.nextafter(np.float32(0.1), np.float32(1))]], "float32")
    labels = np.asarray([1])
    assert nn.metrics.accuracy(z, labels) == 1.0
    assert BookAccuracy()(z, labels) == 0.0  # the first of two equal ones


def test_decay_is_inverse_time_decay_up_to_the_last_bit():
    assert Decay(0.02, 1e-5)(9999) == 0.018181983472577025
    assert nn.InverseTimeDecay(0.02, decay=1e-5)(9999) == pytest.approx(0.018181983472577025, rel=1e-15)


@pytest.mark.parametrize(
    ("own", "library"),
    [(BookAdam(0.02), nn.Adam(0.02, epsilon=1e-7)), (BookRMSProp(0.02, rho=0.99), nn.RMSProp(0.02, rho=0.99))],
)
def test_the_books_update_rules_equal_the_librarys_up_to_rounding(own, library, rng):
    start = {"w": rng.standard_normal((4, 3))}
    found = []
    for rule in (own, library):
        grads = np.random.default_rng(1)
        params = {"w": start["w"].copy()}
        state = rule.init(params)
        for _ in range(10):
            params, state = rule.update(params, {"w": grads.standard_normal((4, 3))}, state)
        found.append(params["w"])
    assert found[0] == pytest.approx(found[1], rel=1e-10)
