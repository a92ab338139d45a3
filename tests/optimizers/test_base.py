import numpy as np
import pytest

import arraynn as nn
from arraynn import tree

ALL = [nn.SGD(0.1), nn.SGD(0.1, momentum=0.9), nn.Adagrad(0.1), nn.RMSProp(0.1), nn.Adam(0.1)]


@pytest.fixture
def nest(xp, rng):
    host = [{"weight": rng.standard_normal((3, 2)), "bias": rng.standard_normal(2)}, {}, {"weight": np.zeros((0, 2))}]
    return nn.put(host, like=xp.asarray(0.0))


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_every_leaf_is_updated_as_it_would_be_alone(xp, rng, nest, optimizer):
    gradients = tree.map(lambda p: xp.asarray(rng.standard_normal(tuple(p.shape))), nest)
    alone = []
    for p, g in zip(tree.leaves(nest), tree.leaves(gradients), strict=True):
        copy = nn.put([p], like=p)
        alone.append(optimizer.update(copy, [g], optimizer.init(copy))[0][0])
    before = [xp.to_numpy(g).copy() for g in tree.leaves(gradients)]
    params, state = optimizer.update(nest, gradients, optimizer.init(nest))
    assert tree.paths(params) == ["0.weight", "0.bias", "2.weight"]
    assert state["step"] == 1
    for p, want in zip(tree.leaves(params), alone, strict=True):
        assert np.array_equal(xp.to_numpy(p), xp.to_numpy(want))
    for g, kept in zip(tree.leaves(gradients), before, strict=True):
        assert np.array_equal(xp.to_numpy(g), kept)


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_float32_stays_float32(xp, optimizer):
    params = nn.put({"w": np.ones(3)}, like=xp.asarray(0.0, np.float32))
    state = optimizer.init(params)
    for _ in range(2):
        params, state = optimizer.update(params, {"w": xp.asarray(np.ones(3), np.float32)}, state)
    for leaf in tree.leaves([params, state["slots"]]):
        assert str(leaf.dtype).endswith("float32")


def test_slots_follow_the_parameters_nest(nest):
    slots = nn.Adam().init(nest)["slots"]
    assert tree.paths(slots)[:4] == ["0.weight.m", "0.weight.v", "0.bias.m", "0.bias.v"]
    assert tuple(slots[0]["weight"]["m"].shape) == (3, 2)


@pytest.mark.parametrize("optimizer", ALL, ids=str)
def test_statistics_are_assigned_not_trained(xp, optimizer):
    params = nn.put({"scale": np.ones(2), "statistics": {"mean": np.zeros(2)}}, like=xp.asarray(0.0))
    state = optimizer.init(params)
    assert all("statistics" not in path for path in tree.paths(state["slots"]))
    grads = {"scale": xp.asarray([1.0, 1.0]), "statistics": {"mean": xp.asarray([5.0, 6.0])}}
    params, _ = optimizer.update(params, grads, state)
    assert xp.to_numpy(params["statistics"]["mean"]).tolist() == [5.0, 6.0]
    assert np.all(xp.to_numpy(params["scale"]) < 1)


def test_a_schedule_is_asked_for_every_step():
    asked = []

    def schedule(step):
        asked.append(step)
        return 1.0 / (step + 1)

    optimizer, params = nn.SGD(schedule), {"w": np.zeros(1)}
    state = optimizer.init(params)
    for _ in range(3):
        params, state = optimizer.update(params, {"w": np.ones(1)}, state)
    assert asked == [0, 1, 2]
    assert params["w"] == pytest.approx([-(1 + 1 / 2 + 1 / 3)])


def test_a_gradient_of_another_shape_is_refused(nest):
    optimizer = nn.SGD(0.1)
    state = optimizer.init(nest)
    turned = tree.map(lambda p: p[:1, ...] if p.shape[0] else p, nest)
    with pytest.raises(nn.ShapeError, match=r"a gradient has shape \(1, 2\), its parameter \(3, 2\)"):
        optimizer.update(nest, turned, state)


def test_gradients_of_another_nest_are_refused():
    params = {"w": np.zeros(2), "b": np.zeros(2)}
    with pytest.raises(nn.ShapeError, match=r"\['w', 'b'\], got"):
        nn.SGD(0.1).update(params, {"w": np.zeros(2)}, nn.SGD(0.1).init(params))


def test_float16_parameters_are_refused_by_name():
    with pytest.raises(ValueError, match=r"parameter '0.weight' is float16"):
        nn.Adam().init([{"weight": np.zeros((2, 2), np.float16)}])


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adagrad, nn.RMSProp, nn.Adam])
@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_a_rate_that_is_no_rate_is_refused(kind, rate):
    with pytest.raises(ValueError, match="learning_rate must be a finite number of at least 0, or a schedule, got"):
        kind(rate)


def test_nothing_to_train_is_fine():
    optimizer = nn.Adam()
    params, state = optimizer.update([{}, {}], [{}, {}], optimizer.init([{}, {}]))
    assert params == [{}, {}]
    assert state["step"] == 1


def test_a_subclass_without_a_rule_says_so():
    with pytest.raises(NotImplementedError, match="Optimizer must define update_one"):
        nn.Optimizer().update_one(None, None, {}, {})
