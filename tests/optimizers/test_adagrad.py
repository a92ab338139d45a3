import math

import pytest

import arraynn as nn


def test_three_steps_worked_by_hand(run, precise):
    g1, g2, g3 = 0.5, -1.0, 2.0
    w1 = 1.0 - 0.1 * g1 / (math.sqrt(0.25) + 1e-3)
    w2 = w1 - 0.1 * g2 / (math.sqrt(1.25) + 1e-3)
    w3 = w2 - 0.1 * g3 / (math.sqrt(5.25) + 1e-3)
    found = run(nn.Adagrad(0.1, epsilon=1e-3), [1.0], [[g1], [g2], [g3]])
    assert [p for (p,) in found] == pytest.approx([w1, w2, w3], rel=precise)


def test_the_first_step_is_the_rate_whatever_the_gradients_size(run):
    (found,) = run(nn.Adagrad(0.1), [0.0, 0.0, 0.0], [[1e-3, -1.0, 1e6]])
    assert found == pytest.approx([-0.1, 0.1, -0.1], rel=1e-3)


def test_no_gradient_no_step(run):
    assert run(nn.Adagrad(0.1), [1.0], [[0.0], [0.0]]) == [[1.0], [1.0]]


def test_fifty_steps_equal_torchs(torch_agrees):
    torch_agrees(nn.Adagrad(0.1, epsilon=1e-7), lambda torch, p: torch.optim.Adagrad(p, lr=0.1, eps=1e-7))
