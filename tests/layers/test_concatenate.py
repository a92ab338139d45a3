import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward

BRANCHES = nn.Concatenate(
    nn.Identity(), nn.Dense(2, weight_regularizer=nn.L2(0.1)), nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dropout(0.4))
)


def test_backward_is_the_derivative(xp, rng):
    x = xp.asarray(rng.standard_normal((5, 3)))
    check_backward(BRANCHES, x)
    check_backward(BRANCHES, x, key=nn.Key(1))
    check_backward(nn.Concatenate(nn.Tanh(), nn.Sigmoid()), xp.asarray(rng.standard_normal((2, 3, 2))))
    check_backward(nn.Concatenate(nn.Tanh()), x)


def test_outputs_are_concatenated_in_the_order_of_the_branches(xp):
    y, backward = nn.Concatenate(nn.Identity(), nn.ReLU())([{}, {}], xp.asarray([[-1.0, 2.0]]))
    dx, _ = backward(xp.asarray([[1.0, 1.0, 10.0, 10.0]]))
    assert xp.to_numpy(y).tolist() == [[-1.0, 2.0, 0.0, 2.0]]
    assert xp.to_numpy(dx).tolist() == [[1.0, 11.0]]


def test_each_branch_gets_its_own_key(xp):
    x = xp.asarray(np.ones((4, 50)))
    y, _ = nn.Concatenate(nn.Dropout(0.5), nn.Dropout(0.5))([{}, {}], x, nn.Key(0))
    left, right = np.split(xp.to_numpy(y), 2, axis=1)
    assert not np.array_equal(left, right)


def test_integers_have_no_gradient(xp, rng):
    branches = nn.Concatenate(nn.Embedding(5, 2), nn.Embedding(5, 3))
    like = xp.asarray([1.0], np.float32)
    params = nn.put(branches.init(rng, ())[0], like=like)
    y, backward = branches(params, xp.asarray([0, 4, 4]))
    dx, grads = backward(y)
    assert branches.integer_input
    assert dx is None
    assert tuple(y.shape) == (3, 5)
    assert [tuple(g["weight"].shape) for g in grads] == [(5, 2), (5, 3)]


def test_a_nest_as_input_has_the_sum_of_its_gradients(rng):
    pair = rng.standard_normal((4, 2)), np.asarray([1.0, 0.0, 1.0, 1.0])
    branches = nn.Concatenate(nn.BatchNorm(), nn.BatchNorm(epsilon=0.1))
    params, _ = branches.init(rng, ((2,), ()), "float64")
    y, backward = branches(params, pair, nn.Key(0))
    dx, mask = backward(y)[0]
    parts = [
        layer(own, pair, nn.Key(0))[1](y[:, columns])[0][0]
        for layer, own, columns in zip(branches.layers, params, (slice(0, 2), slice(2, 4)), strict=True)
    ]
    np.testing.assert_allclose(dx, parts[0] + parts[1], rtol=1e-12)
    assert mask is None


def test_an_empty_batch_is_fine(xp):
    check_backward(BRANCHES, xp.asarray(np.zeros((0, 3))))


def test_outputs_that_do_not_fit_are_refused_with_the_position(rng):
    network = nn.Sequential(nn.Dense(4), nn.Concatenate(nn.Identity(), nn.Embedding(3, 2)))
    with pytest.raises(nn.ShapeError, match=r"Concatenate 'layers.1': .* got outputs \(N, 4\) and \(N, 4, 2\)"):
        network.init(rng, (3,))
    with pytest.raises(nn.ShapeError, match=r"got outputs \(N,\)"):  # the last axis would be the rows
        nn.Concatenate(nn.Identity())([{}], np.zeros(3))


def test_an_error_inside_a_branch_names_its_path_and_no_other_branch(rng):
    network = nn.Sequential(nn.Flatten(), nn.Concatenate(nn.Identity(), nn.Dense(4)))
    params, _ = network.init(rng, (4,))
    with pytest.raises(
        nn.ShapeError, match=r"Dense 'layers.1.layers.1': expected .* got \(N, 6\) from Flatten 'layers.0'"
    ):
        network(params, np.zeros((5, 6), np.float32))


def test_it_takes_at_least_one_branch_and_only_layers():
    with pytest.raises(ValueError, match="at least one branch"):
        nn.Concatenate()
    with pytest.raises(TypeError, match="Concatenate takes layers, one by one"):
        nn.Concatenate([nn.ReLU()])


def test_penalty_and_coupling_are_those_of_the_branches(rng):
    params, shape = BRANCHES.init(rng, (3,), "float64")
    assert shape == (9,)
    assert float(BRANCHES.penalty(params)[0]) == pytest.approx(0.1 * np.sum(params[1]["weight"] ** 2))
    assert not BRANCHES.couples_rows
    assert nn.Concatenate(nn.BatchNorm(), nn.ReLU()).couples_rows


def test_the_summary_gives_each_branch_the_same_input():
    network = nn.Sequential(nn.Dense(4), nn.Concatenate(nn.Dense(2), nn.Dense(3)), nn.Dense(1))
    rows = [line.split() for line in network.summary((3,)).splitlines()]
    assert rows[3:-1] == [
        ["1", "Concatenate", "(N,", "5)"],
        ["1.0", "Dense", "(N,", "2)", "10", "40"],
        ["1.1", "Dense", "(N,", "3)", "15", "60"],
        ["2", "Dense", "(N,", "1)", "6", "24"],
    ]
