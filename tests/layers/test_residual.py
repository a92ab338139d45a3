import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward

BLOCK = nn.Residual(nn.Dense(4, weight_regularizer=nn.L2(0.1)), nn.Tanh(), nn.Dropout(0.4), nn.Dense(3))


def test_backward_is_the_derivative(xp, rng):
    x = xp.asarray(rng.standard_normal((5, 3)))
    check_backward(BLOCK, x)
    check_backward(BLOCK, x, key=nn.Key(1))
    check_backward(nn.Sequential(BLOCK, nn.Residual(nn.Residual(nn.Dense(3)), nn.Tanh())), x)


def test_the_output_is_x_plus_the_output_of_its_layers(xp, rng):
    x = xp.asarray(rng.standard_normal((5, 3)), np.float32)
    params = nn.put(BLOCK.init(rng, (3,))[0], like=x)
    f, _ = nn.Sequential(*BLOCK.layers)(params, x, nn.Key(7))
    y, _ = BLOCK(params, x, nn.Key(7))
    assert np.array_equal(xp.to_numpy(y), xp.to_numpy(x) + xp.to_numpy(f))


def test_without_layers_it_doubles(xp):
    y, backward = nn.Residual()([], xp.asarray([[1.0, -2.0]]))
    dx, grads = backward(xp.asarray([[3.0, 4.0]]))
    assert xp.to_numpy(y).tolist() == [[2.0, -4.0]]
    assert xp.to_numpy(dx).tolist() == [[6.0, 8.0]]
    assert grads == []


def test_an_empty_batch_is_fine(xp):
    check_backward(BLOCK, xp.asarray(np.zeros((0, 3))))


def test_a_changed_shape_is_refused_with_the_position_of_the_layer(xp, rng):
    network = nn.Sequential(nn.Dense(4), nn.Residual(nn.Dense(5)))
    with pytest.raises(nn.ShapeError, match=r"Residual 'layers.1': .* got x \(N, 4\) and f\(x\) \(N, 5\)"):
        network.init(rng, (3,))
    # (N, 1) + (N, 4) would broadcast
    params = nn.put(nn.Dense(1).init(rng, (4,))[0], like=xp.asarray([1.0], np.float32))
    with pytest.raises(nn.ShapeError, match=r"got x \(N, 4\) and f\(x\) \(N, 1\)"):
        nn.Residual(nn.Dense(1))([params], xp.asarray(np.zeros((2, 4)), np.float32))


def test_an_error_inside_names_the_whole_path(rng):
    network = nn.Sequential(nn.Flatten(), nn.Residual(nn.ReLU(), nn.Dense(4)))
    params, _ = network.init(rng, (4,))
    with pytest.raises(nn.ShapeError, match=r"Dense 'layers.1.layers.1': expected input \(N, 4\), got \(N, 6\)"):
        network(params, np.zeros((5, 6), np.float32))


def test_without_dx_backward_stops_at_the_first_layer_with_parameters(rng):
    block = nn.Residual(nn.Tanh(), nn.Dense(3))
    params, _ = block.init(rng, (3,))
    y, backward = block(params, np.ones((2, 3), np.float32))
    dx, grads = backward(y, need_dx=False)
    assert dx is None
    assert np.array_equal(grads[1]["weight"], backward(y)[1][1]["weight"])


def test_penalty_coupling_and_integer_input_are_those_of_its_layers(rng):
    params, _ = BLOCK.init(rng, (3,), "float64")
    value, backward = BLOCK.penalty(params)
    assert float(value) == pytest.approx(0.1 * np.sum(params[0]["weight"] ** 2))
    assert backward()[3] == {} or backward()[3] is None
    assert not BLOCK.couples_rows
    assert nn.Residual(nn.BatchNorm()).couples_rows
    assert not BLOCK.integer_input
    assert nn.Sequential(nn.Embedding(3, 2), BLOCK).integer_input


def test_equal_residuals_are_equal_and_differ_from_a_sequential():
    assert nn.Residual(nn.ReLU()) == nn.Residual(nn.ReLU())
    assert hash(nn.Residual(nn.ReLU())) == hash(nn.Residual(nn.ReLU()))
    assert nn.Residual(nn.ReLU()) != nn.Sequential(nn.ReLU())
    assert not isinstance(nn.Residual(), nn.Sequential)  # who walks through Sequentials must not lose the shortcut


def test_an_argument_that_is_not_a_layer_is_refused():
    with pytest.raises(
        TypeError, match=r"Residual takes layers, one by one: Residual\(Dense.* argument 0 is relu; give the layer ReLU"
    ):
        nn.Residual(nn.relu)


def test_the_summary_shows_it_above_its_layers():
    network = nn.Sequential(nn.Dense(4), nn.Residual(nn.Dense(4), nn.BatchNorm(), nn.ReLU()), nn.Dense(2))
    rows = [line.split() for line in network.summary((3,)).splitlines()]
    assert rows[3:] == [
        ["1", "Residual", "(N,", "4)"],
        ["1.0", "Dense", "(N,", "4)", "20", "80"],
        ["1.1", "BatchNorm", "(N,", "4)", "8", "64"],  # statistics take room, but are not trained
        ["1.2", "ReLU", "(N,", "4)"],
        ["2", "Dense", "(N,", "2)", "10", "40"],
        ["total", "54", "248"],
    ]
