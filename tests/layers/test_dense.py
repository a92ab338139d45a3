import math

import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.fixture
def x_w_b(xp, rng):
    return tuple(xp.asarray(rng.standard_normal(shape)) for shape in [(4, 3), (3, 2), (2,)])


def test_backward_is_the_derivative(x_w_b):
    check_backward(nn.dense, *x_w_b)


def test_one_row_and_an_empty_batch_are_fine(xp, rng):
    w, b = xp.asarray(rng.standard_normal((3, 2))), xp.asarray(rng.standard_normal(2))
    check_backward(nn.dense, xp.asarray(rng.standard_normal((1, 3))), w, b)
    check_backward(nn.dense, xp.asarray(np.zeros((0, 3))), w, b)
    _, dw, db = nn.dense(xp.asarray(np.zeros((0, 3))), w, b)[1](xp.asarray(np.zeros((0, 2))))
    assert not np.any(xp.to_numpy(dw))
    assert not np.any(xp.to_numpy(db))


def test_used_twice_with_the_same_weights_the_gradients_add(xp, rng):
    def tied(x, w, b):
        h, first_backward = nn.dense(x, w, b)
        y, second_backward = nn.dense(h, w, b)

        def tied_backward(dy):
            dh, dw2, db2 = second_backward(dy)
            dx, dw1, db1 = first_backward(dh)
            return dx, dw1 + dw2, db1 + db2

        return y, tied_backward

    check_backward(tied, *(xp.asarray(rng.standard_normal(shape)) for shape in [(4, 3), (3, 3), (3,)]))


def test_the_numbers_worked_by_hand(xp):
    x = xp.asarray([[1.0, 2.0, 3.0, 2.5], [2.0, 5.0, -1.0, 2.0], [-1.5, 2.7, 3.3, -0.8]])
    w = xp.asarray(np.asarray([[0.2, 0.8, -0.5, 1.0], [0.5, -0.91, 0.26, -0.5], [-0.26, -0.27, 0.17, 0.87]]).T)
    y, backward = nn.dense(x, w, xp.asarray([2.0, 3.0, 0.5]))
    dx, dw, db = (xp.to_numpy(d) for d in backward(xp.asarray([[1.0] * 3, [2.0] * 3, [3.0] * 3])))
    assert xp.to_numpy(y)[0] == pytest.approx([4.8, 1.21, 2.385], rel=1e-6)
    # each row of dx is the sum of the weights, times that row's dy
    assert dx == pytest.approx(np.outer([1, 2, 3], [0.44, -0.38, -0.07, 1.37]), rel=1e-5)
    # x[:, 0] is (1, 2, -1.5), so 1·1 + 2·2 - 1.5·3 = 0.5, for each of the three outputs; and so on
    assert dw == pytest.approx(np.repeat([[0.5], [20.1], [10.9], [4.1]], 3, axis=1), rel=1e-5)
    assert db.tolist() == [6.0, 6.0, 6.0]


def test_the_gradient_by_the_input_is_made_only_on_demand(x_w_b):
    y, backward = nn.dense(*x_w_b)
    assert backward(y, need_dx=False)[0] is None


def test_inputs_that_do_not_fit_are_refused_with_their_shapes(xp):
    w, b = xp.asarray(np.zeros((3, 2))), xp.asarray(np.zeros(2))
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, 3\), got \(N, 4\)"):
        nn.dense(xp.asarray(np.zeros((5, 4))), w, b)
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, 3\), got \(N,\)"):
        nn.dense(xp.asarray(np.zeros(3)), w, b)
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, 3\), got \(N, 3, 2\)"):
        nn.dense(xp.asarray(np.zeros((5, 3, 2))), w, b)


def test_the_layer_agrees_with_its_function(xp, rng):
    check_backward(nn.Dense(2), xp.asarray(rng.standard_normal((4, 3))))


def test_init_infers_the_inputs_and_rounds_float64_draws(rng):
    params, shape = nn.Dense(5).init(np.random.default_rng(3), (4,))
    wide, _ = nn.Dense(5).init(np.random.default_rng(3), (4,), "float64")
    assert shape == (5,)
    assert {name: (p.shape, p.dtype.name) for name, p in params.items()} == {
        "weight": ((4, 5), "float32"),
        "bias": ((5,), "float32"),
    }
    assert np.array_equal(params["weight"], wide["weight"].astype(np.float32))
    assert not np.any(params["bias"])
    assert np.max(np.abs(wide["weight"])) <= math.sqrt(6 / 9)


def test_init_takes_a_random_state_and_other_initializers():
    layer = nn.Dense(3, weight_initializer=nn.initializers.normal(0.01), bias_initializer=nn.initializers.constant(0.5))
    params, _ = layer.init(np.random.RandomState(0), (2,), "float64")
    assert np.array_equal(params["weight"], 0.01 * np.random.RandomState(0).randn(2, 3))
    assert params["bias"].tolist() == [0.5] * 3


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 2, 4, 3), (0, 4, 3), (2, 0, 3)])
def test_each_position_of_a_sequence_is_a_row(xp, rng, shape):
    x, w, b = rng.standard_normal(shape), rng.standard_normal((3, 2)), rng.standard_normal(2)
    check_backward(nn.dense, *map(xp.asarray, (x, w, b)), limit=30)
    y = xp.to_numpy(nn.dense(*map(xp.asarray, (x, w, b)))[0])
    np.testing.assert_allclose(y, x @ w + b, rtol=1e-5, atol=1e-6)
    params, output = nn.Dense(5).init(rng, shape[1:])
    assert (params["weight"].shape, output) == ((3, 5), (*shape[1:-1], 5))


def test_positions_of_a_sequence_agree_with_torch(rng):
    torch = pytest.importorskip("torch")
    arrays = [rng.standard_normal(shape) for shape in ((2, 4, 3), (3, 5), (5,))]
    x, w, b = (torch.tensor(a, requires_grad=True) for a in arrays)
    dy = rng.standard_normal((2, 4, 5))
    (x @ w + b).backward(torch.tensor(dy))
    for found, tensor in zip(nn.dense(*arrays)[1](dy), (x, w, b), strict=True):
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_an_input_without_a_feature_axis_is_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, n_in\), got \(N,\)"):
        nn.Dense(3).init(rng, ())
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, …, 3\), got \(N, 4, 2\)"):
        nn.dense(np.zeros((1, 4, 2)), np.zeros((3, 2)), np.zeros(2))


def test_the_books_order_of_arguments_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"n_in is inferred: Dense\(64\)"):
        nn.Dense(2, 64)


@pytest.mark.parametrize("units", [0, -1, 2.0, "3", True, None])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match="units must be an integer of at least 1, got"):
        nn.Dense(units)


def test_penalties_on_weights_and_biases_are_separate(xp):
    params = {"weight": xp.asarray([[1.0, -2.0]]), "bias": xp.asarray([3.0, 0.0])}
    value, backward = nn.Dense(2, weight_regularizer=nn.L2(0.5)).penalty(params)
    assert float(value) == 2.5
    assert {name: xp.to_numpy(d).tolist() for name, d in backward().items()} == {"weight": [[1.0, -2.0]]}
    value, backward = nn.Dense(2, weight_regularizer=nn.L2(0.5), bias_regularizer=nn.L1(2.0)).penalty(params)
    assert float(value) == 8.5
    assert xp.to_numpy(backward(10.0)["bias"]).tolist() == [20.0, 0.0]


def test_the_penaltys_backward_is_the_derivative_of_its_value(xp, rng):
    layer = nn.Dense(2, weight_regularizer=nn.L1L2(0.1, 0.2), bias_regularizer=nn.L2(0.3))
    check_backward(layer, xp.asarray(rng.standard_normal((4, 3))))


def test_without_regularizers_there_is_no_penalty():
    value, backward = nn.Dense(2).penalty({"weight": None, "bias": None})
    assert (value, backward()) == (0.0, None)


def test_equal_layers_are_equal_and_hash_alike():
    assert nn.Dense(3, weight_regularizer=nn.L2(0.1)) == nn.Dense(3, weight_regularizer=nn.L2(0.1))
    assert hash(nn.Dense(3)) == hash(nn.Dense(3))
    assert nn.Dense(3) != nn.Dense(4)
