from dataclasses import replace

import numpy as np
import pytest

import arraynn as nn


def test_steps_worked_by_hand(xp, precise):
    optimizer = nn.SWA(nn.SGD(1.0), start=2, every=3)
    params = nn.put({"w": np.asarray([20.0])}, like=xp.asarray([0.0]))
    state, seen = optimizer.init(params), []
    w = 20.0
    for step in range(10):
        params, state = optimizer.update(params, {"w": xp.asarray([float(step)])}, state)
        w -= step
        if step in (2, 5, 8):
            seen.append(w)
        want = np.mean(seen) if seen else w
        assert xp.to_numpy(params["w"]).tolist() == [w]
        assert xp.to_numpy(optimizer.averaged(params, state)["w"])[0] == pytest.approx(want, rel=10 * precise)


def test_the_first_average_is_the_weights_to_the_bit(rng):
    optimizer = nn.SWA(nn.SGD(0.1), start=1)
    params = {"w": rng.standard_normal(50)}
    state = optimizer.init(params)
    for _ in range(2):
        params, state = optimizer.update(params, {"w": rng.standard_normal(50)}, state)
    assert np.array_equal(optimizer.averaged(params, state)["w"], params["w"])


def test_before_it_starts_the_average_is_a_copy_of_the_weights(rng):
    optimizer = nn.SWA(nn.SGD(0.1), start=5)
    params = {"w": rng.standard_normal(5)}
    state = optimizer.init(params)
    params, state = optimizer.update(params, {"w": rng.standard_normal(5)}, state)
    averaged = optimizer.averaged(params, state)
    assert np.array_equal(averaged["w"], params["w"])
    assert averaged["w"] is not params["w"]


def test_fifty_steps_equal_torchs(rng):
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel

    start, gradients = rng.standard_normal(5), rng.standard_normal((50, 5))
    theirs = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(start))])
    model, other = AveragedModel(theirs), torch.optim.Adam(theirs, lr=0.1)
    optimizer = nn.SWA(nn.Adam(0.1), start=10, every=2)
    params = {"w": start.copy()}
    state = optimizer.init(params)
    for i, g in enumerate(gradients):
        theirs[0].grad = torch.tensor(g)
        other.step()
        if i >= 10 and i % 2 == 0:
            model.update_parameters(theirs)
        params, state = optimizer.update(params, {"w": g}, state)
    np.testing.assert_allclose(optimizer.averaged(params, state)["w"], model.module[0].detach().numpy(), rtol=1e-10)


def test_the_weights_are_trained_as_without(run):
    gradients = [[0.5, 3.0], [-1.0, 2.0], [2.0, 0.1]]
    assert run(nn.SWA(nn.Adam(0.1), 1), [1.0, 2.0], gradients) == run(nn.Adam(0.1), [1.0, 2.0], gradients)


def test_its_learning_rate_is_that_of_the_optimizer_inside():
    optimizer = nn.SWA(nn.SGD(0.1), start=3, every=2)
    assert replace(optimizer, learning_rate=0.5) == nn.SWA(nn.SGD(0.5), start=3, every=2)
    assert optimizer.learning_rate == 0.1


@pytest.mark.parametrize(("start", "every"), [(-1, 1), (0, 0), (1.5, 1), (0, True)])
def test_start_and_every_are_counted_in_updates(start, every):
    with pytest.raises(ValueError, match="counts updates and must be an integer of at least"):
        nn.SWA(nn.SGD(), start, every)
