import pytest

import arraynn as nn

GRADIENTS = [[0.5, -1.0], [0.25, 2.0], [-1.0, 0.0]]


def test_three_steps_worked_by_hand(run, precise):
    # w - 0.1 g: 1 - .05, - .025, + .1 and 2 + .1, - .2, 0
    found = run(nn.SGD(0.1), [1.0, 2.0], GRADIENTS)
    for got, want in zip(found, [[0.95, 2.1], [0.925, 1.9], [1.025, 1.9]], strict=True):
        assert got == pytest.approx(want, rel=precise)


def test_three_steps_with_momentum_worked_by_hand(run, precise):
    # v = .9 v - .1 g: -.05, -.07, .037 and .1, -.11, -.099; w += v
    found = run(nn.SGD(0.1, momentum=0.9), [1.0, 2.0], GRADIENTS)
    for got, want in zip(found, [[0.95, 2.1], [0.88, 1.99], [0.917, 1.891]], strict=True):
        assert got == pytest.approx(want, rel=precise)


def test_three_steps_with_nesterov_worked_by_hand(run, precise):
    # the same v; w += .9 v - .1 g: -.095, -.088, .1333 and .19, -.299, -.0891
    found = run(nn.SGD(0.1, momentum=0.9, nesterov=True), [1.0, 2.0], GRADIENTS)
    for got, want in zip(found, [[0.905, 2.19], [0.817, 1.891], [0.9503, 1.8019]], strict=True):
        assert got == pytest.approx(want, rel=precise)


def test_each_step_of_the_momentum_has_the_rate_of_its_own_update(run, precise):
    # lr 1, then 1/2: v = -1, then .5 · (-1) - .5 · 1 = -1 (PyTorch would move by .5 · (.5 · (-1) - 1) = -.75)
    found = run(nn.SGD(nn.InverseTimeDecay(1.0, decay=1.0), momentum=0.5), [0.0], [[1.0], [1.0]])
    assert found == [[pytest.approx(-1.0, rel=precise)], [pytest.approx(-2.0, rel=precise)]]


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_fifty_steps_equal_torchs(torch_agrees, momentum, nesterov):
    torch_agrees(
        nn.SGD(0.05, momentum=momentum, nesterov=nesterov),
        lambda torch, p: torch.optim.SGD(p, lr=0.05, momentum=momentum, nesterov=nesterov),
    )


def test_without_momentum_there_are_no_slots():
    assert nn.SGD(0.1).init_one(None) == {}


@pytest.mark.parametrize("momentum", [1.0, -0.1, float("nan")])
def test_momentum_outside_the_range_is_refused(momentum):
    with pytest.raises(ValueError, match=r"momentum must lie in \[0, 1\)"):
        nn.SGD(momentum=momentum)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="needs momentum > 0"):
        nn.SGD(nesterov=True)
