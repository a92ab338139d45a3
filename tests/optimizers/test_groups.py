from dataclasses import replace

import numpy as np
import pytest

import arraynn as nn
from arraynn.schedules import Scaled

GROUPS = nn.Groups(nn.AdamW(0.1, weight_decay=0.5), {"*.bias": nn.SGD(0.5, momentum=0.9), "1.*": nn.Adam(0.2)})


def nest(rng):
    return [{"weight": rng.standard_normal((2, 3)), "bias": rng.standard_normal(3)} for _ in range(2)]


def test_each_parameter_is_updated_by_the_optimizer_of_its_path(xp, rng, precise):
    like = xp.asarray([0.0])
    host, steps = nest(rng), [nest(rng) for _ in range(3)]
    params = nn.put(host, like=like)
    state = GROUPS.init(params)
    for grads in steps:
        params, state = GROUPS.update(params, nn.tree.map(xp.asarray, grads), state)
    assert state["step"] == 3
    assert set(state["slots"][0]["bias"]) == {"v"}
    assert set(state["slots"][1]["weight"]) == {"m", "v"}
    alone = [("weight", 0, GROUPS.default), ("bias", 0, nn.SGD(0.5, momentum=0.9))]
    alone += [("bias", 1, nn.SGD(0.5, momentum=0.9)), ("weight", 1, nn.Adam(0.2))]  # the first pattern that fits
    for name, i, optimizer in alone:
        own = nn.put({"p": host[i][name]}, like=like)
        own_state = optimizer.init(own)
        for grads in steps:
            own, own_state = optimizer.update(own, {"p": xp.asarray(grads[i][name])}, own_state)
        assert xp.to_numpy(params[i][name]) == pytest.approx(xp.to_numpy(own["p"]), rel=precise)


def test_rates_follow_their_own_schedules():
    groups = nn.Groups(nn.SGD(0.1), {"a": nn.SGD(nn.StepDecay(1.0, factor=0.5, every=1))})
    assert groups.scalars(0) == {"a": {"lr": 1.0}, "": {"lr": 0.1}}
    assert groups.scalars(2) == {"a": {"lr": 0.25}, "": {"lr": 0.1}}


def test_statistics_are_taken_from_the_gradients(rng):
    network = nn.Sequential(nn.Dense(3), nn.BatchNorm())
    params, _ = network.init(rng, (2,), "float64")
    groups = nn.Groups(nn.SGD(0.1), {"1.*": nn.SGD(0.0)})
    y, backward = network(params, rng.standard_normal((8, 2)), nn.Key(0))
    _, grads = backward(y)
    new, _ = groups.update(params, grads, groups.init(params))
    assert new[1]["statistics"]["mean"] is grads[1]["statistics"]["mean"]
    assert new[1]["scale"].tolist() == [1.0] * 3


def test_a_compiled_step_trains_with_it_and_is_shared_by_other_rates(backend, rng):
    here = nn.backend(backend)
    network = nn.Sequential(nn.Dense(3), nn.Tanh(), nn.Dense(2))
    host, _ = network.init(rng, (4,))
    x, labels = rng.standard_normal((6, 4)), rng.integers(0, 2, 6)
    batch = here.asarray(x, "float32"), here.asarray(labels), None
    found = []
    for rate in (0.5, 0.0):
        groups = nn.Groups(nn.SGD(0.1), {"0.*": nn.EMA(nn.Adam(rate), decay=0.5)})
        params = nn.put(host, like=batch[0])
        step, state = nn.make_train_step(network, nn.softmax_cross_entropy, groups), groups.init(params)
        for _ in range(2):
            params, state, _ = step(params, state, batch, nn.Key(0))
        found.append(nn.tree.map(here.to_numpy, params))
        averaged = nn.tree.map(here.to_numpy, groups.averaged(params, state))
        assert np.array_equal(averaged[2]["weight"], found[-1][2]["weight"])  # what is not averaged is as trained
        assert np.array_equal(averaged[0]["weight"], host[0]["weight"]) == (rate == 0.0)
    assert not np.array_equal(found[0][0]["weight"], host[0]["weight"])
    assert np.array_equal(found[1][0]["weight"], host[0]["weight"])
    assert not np.array_equal(found[1][2]["weight"], host[2]["weight"])


def test_a_pattern_that_matches_nothing_is_refused_with_the_existing_paths(rng):
    with pytest.raises(
        ValueError, match=r"pattern '\*.biases' fits no parameter that is left; there are 0.weight, 0.bias"
    ):
        nn.Groups(nn.SGD(), {"*.biases": nn.SGD()}).init(nest(rng))
    with pytest.raises(ValueError, match=r"pattern '1\.bias' fits no parameter that is left"):
        nn.Groups(nn.SGD(), {"*.bias": nn.SGD(), "1.bias": nn.SGD()}).init(nest(rng))


def test_a_gradient_of_another_shape_or_nest_is_refused(rng):
    params = nest(rng)
    grads = nest(rng)
    grads[0]["bias"] = np.zeros(4)
    with pytest.raises(nn.ShapeError, match=r"a gradient has shape \(4,\), its parameter \(3,\)"):
        GROUPS.update(params, grads, GROUPS.init(params))
    with pytest.raises(nn.ShapeError):
        GROUPS.update(params, grads[:1], GROUPS.init(params))


def test_setting_the_rate_sets_all_and_scaling_it_scales_each():
    assert GROUPS.learning_rate == 0.1
    zero = replace(GROUPS, learning_rate=0.0)
    assert [one.learning_rate for _, one in zero.groups] == [0.0, 0.0]
    assert zero.default == nn.AdamW(0.0, weight_decay=0.5)
    # ReduceLROnPlateau scales the rate that it reads: a group's own rate must not become the default's
    halved = replace(GROUPS, learning_rate=Scaled(GROUPS.learning_rate, 0.5))
    assert halved.scalars(0)["*.bias"]["lr"] == 0.25
    assert halved.scalars(0)["1.*"]["lr"] == pytest.approx(0.2 / 2)
    assert halved.learning_rate(0) == 0.05


def test_equal_groups_are_equal_and_hash_alike():
    again = nn.Groups(GROUPS.default, GROUPS.groups)
    assert again == GROUPS
    assert hash(again) == hash(GROUPS)
    assert replace(GROUPS, groups={"*": nn.SGD()}).groups == (("*", nn.SGD()),)


def test_what_is_not_an_optimizer_is_refused():
    with pytest.raises(TypeError, match=r"Groups takes .* got 'a': 0.1"):
        nn.Groups(nn.SGD(), {"a": 0.1})
    with pytest.raises(TypeError, match=r"got .default.: 0\.1"):
        nn.Groups(0.1, {})


def test_float16_is_refused_with_the_path(rng):
    with pytest.raises(ValueError, match=r"parameter '0.weight' is float16"):
        nn.Groups(nn.SGD(), {}).init([{"weight": np.zeros(2, np.float16)}])
