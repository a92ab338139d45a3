from dataclasses import replace

import numpy as np
import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(xp, precise):
    optimizer = nn.EMA(nn.SGD(1.0), decay=0.75)
    params = nn.put({"w": np.asarray([4.0, 0.0])}, like=xp.asarray([0.0]))
    state, average = optimizer.init(params), np.asarray([4.0, 0.0])
    w = np.asarray([4.0, 0.0])
    for g in ([1.0, -1.0], [2.0, 0.0], [-3.0, 5.0]):
        params, state = optimizer.update(params, {"w": xp.asarray(g)}, state)
        w = w - np.asarray(g)
        average = 0.75 * average + 0.25 * w
        assert xp.to_numpy(params["w"]).tolist() == w.tolist()
        assert xp.to_numpy(optimizer.averaged(params, state)["w"]) == pytest.approx(average, rel=precise)


@pytest.mark.parametrize("inner", [nn.SGD(0.1, momentum=0.9), nn.Adam(0.1), nn.AMSGrad(0.1)])
def test_the_weights_are_trained_as_without(run, inner):
    gradients = [[0.5, 3.0], [-1.0, 2.0], [2.0, 0.1]]
    assert run(nn.EMA(inner), [1.0, 2.0], gradients) == run(inner, [1.0, 2.0], gradients)


def test_fifty_steps_equal_torchs(rng):
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    start, gradients = rng.standard_normal(5), rng.standard_normal((50, 5))
    theirs = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(start))])
    model, other = AveragedModel(theirs, multi_avg_fn=get_ema_multi_avg_fn(0.9)), torch.optim.Adam(theirs, lr=0.1)
    model.update_parameters(theirs)  # torch takes the first weights it is shown; here they are those of init
    optimizer = nn.EMA(nn.Adam(0.1), decay=0.9)
    params = {"w": start.copy()}
    state = optimizer.init(params)
    for g in gradients:
        theirs[0].grad = torch.tensor(g)
        other.step()
        model.update_parameters(theirs)
        params, state = optimizer.update(params, {"w": g}, state)
    np.testing.assert_allclose(optimizer.averaged(params, state)["w"], model.module[0].detach().numpy(), rtol=1e-10)


def test_the_average_is_a_copy_and_leaves_the_state_in_use(xp):
    optimizer = nn.EMA(nn.SGD(1.0), decay=0.5)
    params = nn.put({"w": np.asarray([4.0])}, like=xp.asarray([0.0]))
    params, state = optimizer.update(params, {"w": xp.asarray([2.0])}, optimizer.init(params))
    first = optimizer.averaged(params, state)
    optimizer.update(params, {"w": xp.asarray([2.0])}, state)  # consumes params and state
    assert xp.to_numpy(first["w"]).tolist() == [3.0]


def test_statistics_are_those_of_training(rng):
    layer, optimizer = nn.BatchNorm(), nn.EMA(nn.SGD(0.1), decay=0.5)
    params, _ = layer.init(rng, (2,), "float64")
    y, backward = layer(params, rng.standard_normal((9, 2)), nn.Key(0))
    params, state = optimizer.update(params, backward(y)[1], optimizer.init(params))
    averaged = optimizer.averaged(params, state)
    assert np.array_equal(averaged["statistics"]["mean"], params["statistics"]["mean"])
    assert averaged["statistics"]["mean"] is not params["statistics"]["mean"]
    assert not np.array_equal(averaged["scale"], params["scale"])


def test_its_learning_rate_is_that_of_the_optimizer_inside():
    optimizer = nn.EMA(nn.AdamW(0.1, weight_decay=0.5), decay=0.9)
    assert optimizer.learning_rate == 0.1
    changed = replace(optimizer, learning_rate=0.2)
    assert changed == nn.EMA(nn.AdamW(0.2, weight_decay=0.5), decay=0.9)
    assert hash(changed) == hash(nn.EMA(nn.AdamW(0.2, weight_decay=0.5), decay=0.9))
    assert replace(optimizer, decay=0.5).decay == 0.5
    assert optimizer.elementwise


def test_a_compiled_step_trains_with_it(backend, rng):
    here = nn.backend(backend)
    network, optimizer = nn.Sequential(nn.Dense(3)), nn.EMA(nn.Adam(nn.ExponentialDecay(0.1)), decay=0.5)
    params = nn.put(network.init(rng, (4,))[0], like=here.asarray(np.zeros(1, np.float32)))
    step = nn.make_train_step(network, nn.softmax_cross_entropy, optimizer)
    batch = here.asarray(rng.standard_normal((6, 4)), "float32"), here.asarray(rng.integers(0, 3, 6)), None
    state = optimizer.init(params)
    average = here.to_numpy(params[0]["weight"]).copy()
    for _ in range(3):
        params, state, _ = step(params, state, batch, nn.Key(0))
        average = 0.5 * average + 0.5 * here.to_numpy(params[0]["weight"])
    found = here.to_numpy(optimizer.averaged(params, state)[0]["weight"])
    np.testing.assert_allclose(found, average, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_averaged_is_refused():
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\)"):
        nn.EMA(nn.SGD(), decay=1.0)
    with pytest.raises(TypeError, match=r"EMA takes an optimizer, such as EMA\(Adam\(0.01\)\), got 0.1"):
        nn.EMA(0.1)
    with pytest.raises(TypeError, match="average the weights twice"):
        nn.EMA(nn.SWA(nn.SGD()))
    with pytest.raises(TypeError, match=r"average inside: Groups\(EMA\("):
        nn.EMA(nn.Groups(nn.SGD(), {}))
