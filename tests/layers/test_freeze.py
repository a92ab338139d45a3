import numpy as np
import pytest

import arraynn as nn
from arraynn import tree
from arraynn.testing import check_backward

INNER = nn.Sequential(nn.Dense(4, weight_regularizer=nn.L2(0.1)), nn.BatchNorm(), nn.Tanh(), nn.Dropout(0.5))


def test_backward_is_the_derivative_by_x_alone(xp, rng):
    layer, x = nn.Freeze(INNER), xp.asarray(rng.standard_normal((3, 2)))
    check_backward(layer, x, key=nn.Key(0))
    params = tree.map(xp.asarray, layer.init(rng, (2,), "float64")[0])
    y, backward = layer(params, x, nn.Key(0))
    assert np.array_equal(xp.to_numpy(y), xp.to_numpy(INNER(params["statistics"], x)[0]))  # as in inference
    assert backward(y)[1] is params
    assert layer.penalty(params)[0] == 0
    assert not layer.couples_rows


def test_frozen_layers_keep_their_weights_and_the_others_are_trained(backend, rng):
    network = nn.Sequential(nn.Dense(5), nn.Freeze(INNER), nn.Dense(3))
    model = nn.Model(network, optimizer=nn.AdamW(0.1), backend=backend, clip_norm=1.0).build((2,))
    before = tree.map(lambda leaf: model.backend.to_numpy(leaf).copy(), model.params)
    model.fit(rng.standard_normal((20, 2)), rng.integers(0, 3, 20), epochs=3, batch_size=8, verbose=0)
    after = dict(tree.items(tree.map(model.backend.to_numpy, model.params)))
    for path, old in tree.items(before):
        assert np.array_equal(old, after[path]) == path.startswith("1."), path


def test_nothing_is_computed_for_frozen_layers_in_front(rng):
    class Watched(nn.Dense):
        def __call__(self, params, x, key=None):
            y, _ = super().__call__(params, x, key)

            def backward(dy, need_dx=True):
                raise AssertionError("the backward of a frozen layer in front was called")

            return y, backward

    network = nn.Sequential(nn.Freeze(nn.Sequential(Watched(4), nn.ReLU())), nn.ReLU(), nn.Dense(3))
    params, _ = network.init(rng, (2,))
    y, backward = network(params, rng.standard_normal((5, 2)).astype("f4"), nn.Key(0))
    dx, grads = backward(y, need_dx=False)
    assert dx is None
    assert [len(tree.leaves(tree.trained(own))) for own in grads] == [0, 0, 2]
    assert grads[0] is params[0]


def test_a_frozen_pretrained_network_is_assigned_and_saved(rng, tmp_path):
    features = nn.Sequential(nn.Conv2D(3, 3), nn.ReLU(), nn.Flatten())
    pretrained, _ = features.init(rng, (5, 5, 1))
    network = nn.Sequential(nn.Freeze(features), nn.Dense(2))
    model = nn.Model(network, backend="numpy").build((5, 5, 1))
    model.params = [{"statistics": pretrained}, model.params[1]]
    x, y = rng.standard_normal((8, 5, 5, 1)), rng.integers(0, 2, 8)
    model.fit(x, y, epochs=2, verbose=0)
    assert np.array_equal(model.params[0]["statistics"][0]["weight"], pretrained[0]["weight"])
    assert "Freeze" in network.summary((5, 5, 1))
    model.save(tmp_path / "model.safetensors")
    loaded = nn.Model.load(tmp_path / "model.safetensors", backend="numpy")
    assert np.array_equal(loaded(x), model(x))


def test_integer_inputs_pass_through_a_frozen_embedding(rng):
    layer = nn.Freeze(nn.Embedding(7, 3))
    assert (layer.integer_input, layer.vocabulary) == (True, 7)
    model = nn.Model(nn.Sequential(layer, nn.Flatten(), nn.Dense(2)), backend="numpy")
    model.fit(rng.integers(0, 7, (6, 2)), rng.integers(0, 2, 6), epochs=1, verbose=0)
    with pytest.raises(nn.DataError, match="the embedding has 7 words"):
        model.predict(np.full((1, 2), 7))


def test_an_argument_that_is_not_a_layer_is_refused():
    for wrong in (nn.Dense, 3, nn.relu):
        with pytest.raises(TypeError, match=r"Freeze takes a layer, such as Freeze\(Dense\(64\)\), got"):
            nn.Freeze(wrong)
    assert nn.Freeze(nn.ReLU()).init(None, (3,)) == ({"statistics": {}}, (3,))
