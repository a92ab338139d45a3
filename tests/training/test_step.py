from dataclasses import dataclass

import numpy as np
import pytest

import arraynn as nn
from arraynn import metrics, tree
from arraynn.training.clipping import clip

NETWORK = nn.Sequential(
    nn.Dense(8, weight_regularizer=nn.L1L2(1e-2, 2e-2), bias_regularizer=nn.L2(0.1)),
    nn.ReLU(),
    nn.Dropout(0.3),
    nn.Dense(3),
)
LABELS = np.asarray([0, 2, 1, 1, 0])


@pytest.fixture
def start(xp, rng):
    """Parameters and a batch, in the widest dtype."""
    x = xp.asarray(rng.standard_normal((5, 4)))
    host, _ = NETWORK.init(np.random.default_rng(1), (4,), xp.float_dtype)
    weight = xp.asarray([1.0, 2.0, 0.5, 1.0, 1.0])
    return nn.put(host, like=x), (x, xp.asarray(LABELS), weight)


def copied(nest):
    return nn.put(nest, like=tree.leaves(nest)[0])


def on_host(xp, nest):
    # sorted by path: what comes out of jax.jit has its keys sorted
    return [
        np.array(xp.to_numpy(leaf), dtype=np.float64) for _, leaf in sorted(tree.items(nest), key=lambda item: item[0])
    ]


# ---------------------------------------------------------------- the step


def test_a_step_is_forward_loss_backward_penalty_clip_update_in_this_order(xp, start):
    params, (x, labels, weight) = start
    optimizer, key = nn.SGD(0.5, momentum=0.9), nn.Key(3)
    step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer, clip_norm=0.2, clip_value=0.15)
    by_hand, velocity = copied(params), tree.map(lambda p: np.zeros(tuple(p.shape)), params)
    state = optimizer.init(params)
    for number in range(2):
        y, backward = NETWORK(by_hand, x, key.fold_in(number))
        loss, loss_backward = nn.softmax_cross_entropy(y, labels, sample_weight=weight)
        penalty, penalty_backward = NETWORK.penalty(by_hand)
        grads = tree.add(backward(loss_backward())[1], penalty_backward())
        grads = tree.map(lambda g: np.clip(np.array(xp.to_numpy(g), np.float64), -0.15, 0.15), grads)
        norm = np.sqrt(sum(np.sum(g * g) for g in tree.leaves(grads)))
        assert norm > 0.2  # so that both limits are at work
        velocity = tree.map(lambda v, g, scale=0.2 / norm: 0.9 * v - 0.5 * g * scale, velocity, grads)
        by_hand = tree.map(lambda p, v: xp.asarray(xp.to_numpy(p) + v), by_hand, velocity)

        params, state, logs = step(params, state, (x, labels, weight), key)
        precise = 1e-12 if xp.has_float64 else 1e-5
        assert float(logs["data_loss"]) == pytest.approx(float(loss), rel=precise)
        assert float(logs["penalty"]) == pytest.approx(float(penalty), rel=precise)
        assert float(logs["total"]) == 5.5
        assert state["step"] == number + 1
        for got, want in zip(on_host(xp, params), on_host(xp, by_hand), strict=True):
            assert got == pytest.approx(want, rel=precise, abs=precise)


def test_a_training_step_never_leaves_its_device(spy, rng):
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    x, labels, weight = (
        strict.asarray(a, device=device) for a in (rng.standard_normal((5, 4)).astype(np.float32), LABELS, np.ones(5))
    )
    host, _ = NETWORK.init(rng, (4,))
    params = nn.put(host, like=x)
    for optimizer in (nn.SGD(0.1, momentum=0.9), nn.Adagrad(0.1), nn.RMSProp(0.1), nn.Adam(0.1)):
        step = nn.make_train_step(
            NETWORK, nn.softmax_cross_entropy, optimizer, clip_norm=1.0, clip_value=1.0, metrics=(metrics.accuracy,)
        )
        state = optimizer.init(params)
        spy.clear()
        for _ in range(2):
            params, state, logs = step(params, state, (x, labels, weight), nn.Key(0))
        assert spy.calls == []
    assert all(leaf.device == device for leaf in tree.leaves([params, state["slots"], logs]))
    assert float(logs["data_loss"]) > 0
    assert spy.calls  # it sees what it must see


REGRESSION = [
    (nn.sigmoid_cross_entropy, lambda rng: (rng.uniform(size=(5, 2)) > 0.5).astype(np.float32)),
    (nn.mean_squared_error, lambda rng: rng.standard_normal((5, 2)).astype(np.float32)),
    (nn.mean_absolute_error, lambda rng: rng.standard_normal((5, 2)).astype(np.float32)),
    (nn.binary_cross_entropy, lambda rng: (rng.uniform(size=(5, 2)) > 0.5).astype(np.float32)),
    (nn.cross_entropy, lambda rng: np.asarray([0, 1, 1, 0, 1])),
]


@pytest.mark.parametrize(("loss", "targets"), REGRESSION)
def test_every_loss_and_activation_trains_without_leaving_the_device(spy, rng, loss, targets):
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    network = nn.Sequential(
        nn.Flatten(), nn.Dense(4), nn.Tanh(), nn.Identity(), nn.Dense(2), nn.Sigmoid(), nn.Softmax()
    )
    x = strict.asarray(rng.standard_normal((5, 2, 2)).astype(np.float32), device=device)
    t, weight = (strict.asarray(a, device=device) for a in (targets(rng), np.ones(5, np.float32)))
    params = nn.put(network.init(rng, (2, 2))[0], like=x)
    optimizer = nn.Adam()
    state = optimizer.init(params)
    step = nn.make_train_step(network, loss, optimizer)
    spy.clear()
    for w in (None, weight):
        params, state, _ = step(params, state, (x, t, w), nn.Key(0))
    assert spy.calls == []


def test_metrics_are_computed_before_the_update(xp, start):
    params, batch = start
    y, _ = NETWORK(params, batch[0], nn.Key(0).fold_in(0))
    expected = metrics.accuracy(y, batch[1], batch[2])
    step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, nn.SGD(1.0), metrics=(metrics.accuracy,))
    _, _, logs = step(params, nn.SGD(1.0).init(params), batch, nn.Key(0))
    sums = {name: float(value) for name, value in logs["accuracy"].items()}
    assert metrics.accuracy.value(sums) == pytest.approx(expected)
    assert sums["weight"] == 5.5


def test_the_step_uses_the_rate_of_the_schedule(xp, start):
    params, batch = start
    optimizer = nn.SGD(nn.StepDecay(0.5, factor=0.0, every=1))
    step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer)
    first = on_host(xp, params)
    params, state, _ = step(params, optimizer.init(params), batch, nn.Key(0))
    second = on_host(xp, params)
    params, state, _ = step(params, state, batch, nn.Key(0))
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    for a, b in zip(second, on_host(xp, params), strict=True):
        assert np.array_equal(a, b)


def test_a_batch_without_rows_or_weight_trains_on_the_penalty_alone(xp, start):
    params, (x, labels, weight) = start
    optimizer = nn.SGD(0.1)
    step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer)
    _, penalty_backward = NETWORK.penalty(params)
    before, slope = on_host(xp, params), xp.to_numpy(penalty_backward()[0]["weight"]).copy()
    params, _, logs = step(params, optimizer.init(params), (x, labels, weight * 0), nn.Key(0))
    after = on_host(xp, params)
    assert float(logs["data_loss"]) == 0.0
    assert after[1] == pytest.approx(before[1] - 0.1 * slope, rel=1e-5)  # 0.bias, 0.weight, 3.bias, 3.weight
    assert np.array_equal(after[3], before[3])


def test_the_same_numbers_make_the_same_steps(start):
    params, batch = start
    results = []
    for _ in range(2):
        optimizer, own = nn.Adam(), copied(params)
        step = nn.make_train_step(NETWORK, nn.softmax_cross_entropy, optimizer)
        state = optimizer.init(own)
        for _ in range(3):
            own, state, logs = step(own, state, batch, nn.Key(0))
        results.append(float(logs["data_loss"]))
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf")])
def test_clipping_limits_that_are_not_positive_are_refused(name, limit):
    with pytest.raises(ValueError, match=f"{name} must be a finite number above 0, or None, got"):
        nn.make_train_step(NETWORK, nn.softmax_cross_entropy, nn.SGD(0.1), **{name: limit})


def test_options_that_cannot_be_hashed_are_refused():
    @dataclass(frozen=True)
    class Listed(nn.Layer):
        sizes: list

    network = nn.Sequential(nn.Dense(2), Listed([1.0]))
    with pytest.raises(TypeError, match="frozen dataclasses of hashable values"):
        nn.make_train_step(network, nn.softmax_cross_entropy, nn.SGD(0.1))


# ---------------------------------------------------------------- clip


def test_without_limits_gradients_are_unchanged():
    grads = {"w": np.ones(2)}
    assert clip(grads) is grads


def test_a_short_gradient_is_left_and_a_long_one_has_the_norm(xp):
    grads = [{"a": xp.asarray([3.0]), "b": xp.asarray([[4.0]])}, {}]
    assert on_host(xp, clip(grads, norm=10.0))[0] == pytest.approx([3.0])
    a, b = on_host(xp, clip(grads, norm=1.0))
    assert (a[0], b[0, 0]) == pytest.approx((0.6, 0.8), rel=1e-6)
    assert xp.to_numpy(grads[0]["a"]).tolist() == [3.0]


def test_values_are_clipped_before_the_norm_is_computed(xp):
    w, b = on_host(xp, clip([xp.asarray([30.0]), xp.asarray([-4.0])], norm=2.5, value=4.0))
    assert (w[0], b[0]) == pytest.approx((2.5 / 2**0.5, -2.5 / 2**0.5), rel=1e-6)


def test_clipping_gradients_of_norm_0_divides_by_nothing(xp):
    assert on_host(xp, clip([xp.asarray([0.0, 0.0])], norm=1.0))[0].tolist() == [0.0, 0.0]
    assert clip([{}, {}], norm=1.0) == [{}, {}]


def test_statistics_are_not_clipped(xp):
    grads = {"scale": xp.asarray([30.0]), "statistics": {"mean": xp.asarray([99.0])}}
    clipped = clip(grads, norm=1.0, value=2.0)
    assert xp.to_numpy(clipped["scale"])[0] == pytest.approx(1.0)
    assert xp.to_numpy(clipped["statistics"]["mean"]).tolist() == [99.0]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_norm_that_is_not_finite_makes_every_gradient_not_finite(xp, bad):
    # An infinite norm used to make the finite gradients 0, so that training stood still without a word.
    with np.errstate(invalid="ignore"):
        found = on_host(xp, clip([xp.asarray([1.0]), xp.asarray([bad])], norm=1.0))
    assert not any(np.any(np.isfinite(g)) for g in found)


def test_float32_stays_float32(xp):
    clipped = clip([xp.asarray([3.0], np.float32)], norm=1.0, value=2.0)
    assert "float32" in str(clipped[0].dtype)


# ---------------------------------------------------------------- put


def test_put_moves_a_nest_to_the_library_device_and_dtype_of_an_array(xp):
    like = xp.asarray(0.0, np.float32)
    nest = nn.put([{"w": np.arange(3.0), "n": np.arange(3)}, {}], like=like)
    w, n = nest[0]["w"], nest[0]["n"]
    assert type(w) is type(like)
    assert "float32" in str(w.dtype)
    assert "int" in str(n.dtype)
    assert xp.to_numpy(w).tolist() == [0.0, 1.0, 2.0]
    assert nest[1] == {}


def test_put_shares_no_memory(xp):
    host = np.arange(3.0, dtype=np.float32)
    there = nn.put([host], like=xp.asarray(0.0, np.float32))
    again = nn.put(there, like=there[0])
    state = nn.SGD(1.0).init(there)
    nn.SGD(1.0).update(there, [there[0] * 0 + 1], state)
    assert host.tolist() == [0.0, 1.0, 2.0]
    assert xp.to_numpy(again[0]).tolist() == [0.0, 1.0, 2.0]


def test_put_brings_arrays_back_to_numpy(xp):
    back = nn.put({"w": xp.asarray([1.0, 2.0])}, like=np.zeros(0, np.float32))
    assert type(back["w"]) is np.ndarray
    assert back["w"].dtype == np.float32
    assert back["w"].tolist() == [1.0, 2.0]


def test_put_refuses_an_integer_array_as_like():
    with pytest.raises(nn.DataError, match="put takes the dtype of a float array, got int64"):
        nn.put({"w": np.zeros(2)}, like=np.arange(3))
