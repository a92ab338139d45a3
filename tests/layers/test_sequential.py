from dataclasses import dataclass

import numpy as np
import pytest

import arraynn as nn
from arraynn.layers import Layer
from arraynn.testing import check_backward

NETWORK = nn.Sequential(nn.Dense(4, weight_regularizer=nn.L2(0.1)), nn.Tanh(), nn.Dropout(0.4), nn.Dense(2))


def test_backward_is_the_derivative(xp, rng):
    x = xp.asarray(rng.standard_normal((5, 3)))
    check_backward(NETWORK, x)
    check_backward(NETWORK, x, key=nn.Key(1))


def test_nested_networks_are_layers(xp, rng):
    nested = nn.Sequential(nn.Sequential(nn.Dense(3), nn.Sigmoid()), nn.Sequential(), nn.Dense(2))
    check_backward(nested, xp.asarray(rng.standard_normal((4, 3))))


def test_one_network_used_on_two_batches_gives_both_gradients_right(xp, rng):
    def shared(x1, x2):
        y1, first_backward = NETWORK(params, x1)
        y2, second_backward = NETWORK(params, x2)
        return (y1, y2), lambda dy: (first_backward(dy[0])[0], second_backward(dy[1])[0])

    x1, x2 = (xp.asarray(rng.standard_normal((n, 3)), np.float32) for n in (2, 5))
    host, _ = NETWORK.init(rng, (3,))
    params = nn.put(host, like=x1)
    (y1, y2), backward = shared(x1, x2)
    found = backward((y1, y2))
    for x, y, dx in ((x1, y1, found[0]), (x2, y2, found[1])):
        alone, alone_backward = NETWORK(params, x)
        assert np.array_equal(xp.to_numpy(y), xp.to_numpy(alone))
        assert np.array_equal(xp.to_numpy(dx), xp.to_numpy(alone_backward(y)[0]))


def test_it_applies_its_layers_one_after_another(xp, rng):
    x = xp.asarray(rng.standard_normal((4, 3)), np.float32)
    layers = nn.Dense(5), nn.ReLU(), nn.Dense(2)
    host, shape = nn.Sequential(*layers).init(rng, (3,))
    params = nn.put(host, like=x)
    y, _ = nn.Sequential(*layers)(params, x)
    h = x
    for layer, own in zip(layers, params, strict=True):
        h, _ = layer(own, h)
    assert shape == (2,)
    assert np.array_equal(xp.to_numpy(y), xp.to_numpy(h))


def test_an_empty_batch_has_gradients_of_zero(xp, rng):
    x = xp.asarray(np.zeros((0, 3)), np.float32)
    params = nn.put(NETWORK.init(rng, (3,))[0], like=x)
    y, backward = NETWORK(params, x, nn.Key(0))
    dx, grads = backward(y)
    assert tuple(y.shape) == (0, 2)
    assert tuple(dx.shape) == (0, 3)
    assert not any(np.any(xp.to_numpy(g)) for g in nn.tree.leaves(grads))


def test_without_dx_backward_stops_at_the_first_layer_that_has_parameters(rng):
    called = []

    @dataclass(frozen=True)
    class Seen(Layer):
        name: str

        def __call__(self, params, x, key=None):
            def seen_backward(dy, need_dx=True):
                called.append((self.name, need_dx))
                return dy, {}

            return x, seen_backward

    network = nn.Sequential(Seen("below"), nn.Dense(2), Seen("above"))
    params, _ = network.init(rng, (3,))
    y, backward = network(params, rng.standard_normal((4, 3)).astype(np.float32))
    dx, grads = backward(y, need_dx=False)
    assert called == [("above", True)]
    assert dx is None
    assert nn.tree.paths(grads) == ["1.weight", "1.bias"]
    assert backward(y)[0] is not None
    assert called[1:] == [("above", True), ("below", True)]


def test_without_parameters_and_dx_backward_does_nothing(rng):
    network = nn.Sequential(nn.ReLU(), nn.Tanh())
    x = rng.standard_normal((4, 3))
    assert network([{}, {}], x)[1](x, need_dx=False) == (None, [{}, {}])


def test_each_layer_drops_by_its_own_key(rng):
    x = np.ones((30, 30))
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    y, _ = network([{}, {}], x, nn.Key(0))
    masks = [nn.dropout(x, 0.5, nn.Key(0).fold_in(i))[0] for i in (0, 1)]
    assert np.array_equal(y, masks[0] * masks[1])
    assert not np.array_equal(*masks)


def test_a_shape_that_does_not_fit_is_refused_with_layer_position_and_source(rng):
    network = nn.Sequential(nn.Dense(32), nn.ReLU(), nn.Dense(3))
    with pytest.raises(nn.ShapeError, match=r"Dense 'layers.0': expected input \(N, …, n_in\), got \(N,\)"):
        network.init(rng, ())
    params, _ = network.init(rng, (4,))
    params[2], _ = nn.Dense(3).init(rng, (64,))
    with pytest.raises(
        nn.ShapeError, match=r"Dense 'layers.2': expected input \(N, 64\), got \(N, 32\) from ReLU 'layers.1'"
    ):
        network(params, np.zeros((5, 4), np.float32))


def test_a_nested_shape_error_names_the_whole_path(rng):
    network = nn.Sequential(nn.Flatten(), nn.Sequential(nn.ReLU(), nn.Dense(3)))
    params, _ = network.init(rng, (4,))
    with pytest.raises(nn.ShapeError, match=r"Dense 'layers.1.layers.1': expected input \(N, 4\), got \(N, 6\)"):
        network(params, np.zeros((5, 6), np.float32))


def test_an_element_that_is_not_a_layer_is_refused_with_its_position():
    with pytest.raises(TypeError, match=r"argument 1 is relu; give the layer ReLU"):
        nn.Sequential(nn.Dense(3), nn.relu)
    with pytest.raises(TypeError, match="one by one"):
        nn.Sequential([nn.Dense(3), nn.ReLU()])
    with pytest.raises(TypeError, match="argument 0 is the class ReLU; give a layer of it"):
        nn.Sequential(nn.ReLU)


def test_the_penalty_is_the_sum_of_the_layers_penalties(xp):
    x = xp.asarray([[1.0]])
    network = nn.Sequential(
        nn.Dense(1, weight_regularizer=nn.L2(0.5)), nn.ReLU(), nn.Dense(1, bias_regularizer=nn.L1(2))
    )
    params = nn.put(
        [
            {"weight": np.full((1, 1), w), "bias": np.full(1, b)} if w else {}
            for w, b in ((2.0, 1.0), (0, 0), (3.0, -4.0))
        ],
        like=x,
    )
    value, backward = network.penalty(params)
    assert float(value) == 10.0
    first, second, third = backward()
    assert xp.to_numpy(first["weight"]).tolist() == [[2.0]]
    assert second is None
    assert xp.to_numpy(third["bias"]).tolist() == [-2.0]


def test_a_sequential_without_layers_is_the_identity(rng):
    empty = nn.Sequential()
    x = rng.standard_normal((4, 3))
    y, backward = empty([], x)
    assert empty.init(rng, (3,)) == ([], (3,))
    assert y is x
    assert backward(x) == (x, [])
    assert empty.penalty([])[0] == 0.0
    assert empty.penalty([])[1]() == []


def test_rows_are_coupled_where_a_layer_couples_them():
    @dataclass(frozen=True)
    class Coupling(Layer):
        couples_rows = True

    assert not NETWORK.couples_rows
    assert nn.Sequential(nn.Sequential(nn.ReLU(), Coupling())).couples_rows


def test_the_summary_shows_shapes_parameters_and_bytes():
    network = nn.Sequential(nn.Flatten(), nn.Dense(10), nn.Sequential(nn.ReLU(), nn.Dense(3)))
    lines = network.summary((2, 4)).splitlines()
    assert lines[0].split() == ["layer", "output", "parameters", "bytes"]
    rows = [line.split() for line in lines]
    assert ["1", "Dense", "(N,", "10)", "90", "360"] in rows
    assert ["2.1", "Dense", "(N,", "3)", "33", "132"] in rows
    assert rows[-1] == ["total", "123", "492"]
    assert network.summary((2, 4), "float64").split()[-2:] == ["123", "984"]
