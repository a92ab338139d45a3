import array_api_strict
import numpy as np
import pytest

import arraynn as nn
from arraynn.training import step as training_step

LOSSES = [nn.softmax_cross_entropy, nn.cross_entropy, nn.kl_divergence]
P = np.full((4, 3), 1 / 3)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", ">i4"])
@pytest.mark.parametrize("wrong", [7, 3, -1])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_label_out_of_range_is_refused_by_the_loss_itself(loss, wrong, dtype):
    if wrong < 0 and dtype == "uint8":
        wrong = 255
    labels = np.asarray([0, 2, wrong, 1], dtype)
    with pytest.raises(nn.DataError, match=rf"must lie in \[0, 3\), got {wrong} in row 2: there are 3 outputs"):
        loss(P, labels)
    loss(P, np.asarray([0, 2, 2, 1], dtype))
    loss(P[:0], labels[:0])
    loss(P, labels, sample_weight=np.asarray([1.0, 1.0, 0.0, 1.0]))  # a row that does not count


def test_an_ignored_label_may_lie_anywhere_and_others_may_not():
    good, bad = np.asarray([0, -100, 2, 1]), np.asarray([0, -100, 2, 3])
    nn.softmax_cross_entropy(P, good, ignore_label=-100)
    with pytest.raises(nn.DataError, match="got 3 in row 3"):
        nn.softmax_cross_entropy(P, bad, ignore_label=-100)


def test_labels_of_every_library_are_checked(xp):
    labels = xp.asarray(np.asarray([0, 2, 9, -1]))
    with pytest.raises(nn.DataError, match="got 9 in row 2"):
        nn.check_labels(labels, 3)
    with pytest.raises(nn.DataError, match="got -1 in row 3"):
        nn.check_labels(labels, 3, 9)
    nn.check_labels(labels, 10, -1)
    nn.check_labels(labels[:0], 3)


def made(loss, kind=np.asarray):
    network, optimizer = nn.Sequential(nn.Dense(3)), nn.SGD(0.1)
    params = nn.tree.map(kind, network.init(np.random.default_rng(0), (2,))[0])
    return params, optimizer.init(params), nn.make_train_step(network, loss, optimizer)


@pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.SoftmaxCrossEntropy(ignore_label=-100)])
def test_the_step_refuses_before_it_updates(loss):
    params, state, step = made(loss)
    before = nn.tree.copy(params)
    x, good = np.ones((4, 2), "float32"), np.asarray([0, 1, 2, 0])
    for _ in range(2):  # before and after the step is compiled
        with pytest.raises(nn.DataError, match="got 7 in row 1"):
            step(params, state, (x, np.asarray([0, 7, 2, 0]), None), nn.Key(0))
        for a, b in zip(nn.tree.leaves(params), nn.tree.leaves(before), strict=True):
            assert np.array_equal(a, b)
        step(params, state, (x, np.asarray([0, 7, 2, 0]), np.asarray([1.0, 0.0, 1.0, 1.0], "float32")), nn.Key(0))
        params, state, _ = step(params, state, (x, good, None), nn.Key(0))
        before = nn.tree.copy(params)


def test_on_other_libraries_the_step_reads_no_label_on_the_host(spy, monkeypatch):
    params, state, step = made(nn.softmax_cross_entropy, array_api_strict.asarray)
    monkeypatch.setattr(training_step, "_outputs", lambda *_: pytest.fail("the outputs are of use on NumPy only"))
    x, labels = array_api_strict.ones((4, 2), dtype=array_api_strict.float32), array_api_strict.asarray([0, 7, 2, 0])
    spy.clear()
    step(params, state, (x, labels, None), nn.Key(0))
    assert not spy.calls
