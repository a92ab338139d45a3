import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward

PAIR = nn.Parallel(nn.Dense(2, weight_regularizer=nn.L2(0.1)), nn.Sequential(nn.Dense(4), nn.Tanh(), nn.Dropout(0.4)))
MIXED = nn.Sequential(nn.Parallel(nn.Identity(), nn.Embedding(7, 3), nn.Embedding(3, 2)), nn.Dense(4))


def test_backward_is_the_derivative(xp, rng):
    x = xp.asarray(rng.standard_normal((5, 3))), xp.asarray(rng.standard_normal((5, 2)))
    check_backward(PAIR, x)
    check_backward(PAIR, x, key=nn.Key(1))
    check_backward(nn.Parallel(nn.Tanh()), x[:1])


def test_each_layer_gets_its_own_input_and_outputs_are_concatenated(xp):
    x = xp.asarray([[-1.0]]), xp.asarray([[-2.0, 3.0]])
    y, backward = nn.Parallel(nn.Identity(), nn.ReLU())([{}, {}], x)
    dx, _ = backward(xp.asarray([[1.0, 10.0, 100.0]]))
    assert xp.to_numpy(y).tolist() == [[-1.0, 0.0, 3.0]]
    assert [xp.to_numpy(part).tolist() for part in dx] == [[[1.0]], [[0.0, 100.0]]]


def test_each_layer_gets_its_own_key(xp):
    x = xp.asarray(np.ones((4, 50)))
    y, _ = nn.Parallel(nn.Dropout(0.5), nn.Dropout(0.5))([{}, {}], (x, x), nn.Key(0))
    left, right = np.split(xp.to_numpy(y), 2, axis=1)
    assert not np.array_equal(left, right)


def test_integers_have_no_gradient_and_floats_beside_them_have(xp, rng):
    layer = nn.Parallel(nn.Identity(), nn.Embedding(5, 2))
    x = xp.asarray(np.ones((3, 1), np.float32)), xp.asarray([0, 4, 4])
    params = nn.put(layer.init(rng, ((1,), ()))[0], like=x[0])
    y, backward = layer(params, x)
    dx, grads = backward(y)
    assert dx[1] is None
    assert xp.to_numpy(dx[0]).tolist() == [[1.0], [1.0], [1.0]]
    assert tuple(grads[1]["weight"].shape) == (5, 2)
    assert backward(y, need_dx=False)[0] is None


def test_a_model_keeps_the_dtype_of_each_input(rng):
    """Codes of the second table run to 6, of the third to 2: each part has its own limit, and floats stay floats."""
    x = rng.standard_normal((20, 2)), rng.integers(0, 7, 20), rng.integers(0, 3, 20)
    model = nn.Model(MIXED, nn.mean_squared_error, backend="numpy")
    assert (model.integer_input, model.vocabulary) == ((False, True, True), (None, 7, 3))
    model.fit(x, rng.standard_normal((20, 4)), epochs=2, verbose=0)
    assert np.asarray(model.predict(x)).shape == (20, 4)
    with pytest.raises(nn.DataError, match=r"\[0, 2\], got 3; the embedding has 3 words"):
        model.predict((x[0], x[1], np.full(20, 3)))
    assert "forward" in str(model.explain(tuple(part[:2] for part in x), np.zeros((2, 4))))


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
def test_it_is_saved_and_loaded(tmp_path, rng, backend):
    pytest.importorskip("array_api_strict")
    x = rng.standard_normal((20, 2)), rng.integers(0, 7, 20), rng.integers(0, 3, 20)
    model = nn.Model(MIXED, nn.mean_squared_error, backend=backend)
    model.fit(x, rng.standard_normal((20, 4)), epochs=2, verbose=0)
    model.save(tmp_path / "m")
    again = nn.Model.load(tmp_path / "m", backend=backend)
    np.testing.assert_array_equal(again(x), model(x))
    assert again.input_shape == ((2,), (), ())


def test_memory_mapped_inputs_are_read_a_batch_at_a_time(tmp_path, rng):
    x = rng.standard_normal((20, 2)).astype(np.float32), rng.integers(0, 7, 20), rng.integers(0, 3, 20)
    for i, part in enumerate(x):
        np.save(tmp_path / f"{i}.npy", part)
    mapped = tuple(np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(3))
    models = [nn.Model(MIXED, nn.mean_squared_error, backend="numpy") for _ in range(2)]
    for model, data in zip(models, (x, mapped), strict=True):
        model.fit(data, np.ones((20, 4)), epochs=2, batch_size=8, verbose=0)
    np.testing.assert_array_equal(models[0](x), models[1](mapped))


def test_a_wrong_number_of_inputs_is_refused(rng):
    with pytest.raises(nn.ShapeError, match="expected a tuple of 2 parts, got one array"):
        PAIR.init(rng, (3,))
    with pytest.raises(nn.ShapeError, match="expected a tuple of 2 parts, got 3"):
        nn.Sequential(PAIR).init(rng, ((3,), (2,), (1,)))
    with pytest.raises(nn.ShapeError, match=r"got outputs \(N, 4\) and \(N, 4, 2\)"):
        nn.Parallel(nn.Identity(), nn.Embedding(3, 2)).init(rng, ((4,), (4,)))
    with pytest.raises(ValueError, match="at least one layer"):
        nn.Parallel()


def test_the_summary_gives_each_layer_its_input():
    rows = [line.split() for line in MIXED.summary(((2,), (), ())).splitlines()]
    assert rows[1] == ["input", "(N,", "2)", "and", "(N,)", "and", "(N,)"]
    assert [row[:2] for row in rows[2:7]] == [
        ["0", "Parallel"],
        ["0.0", "Identity"],
        ["0.1", "Embedding"],
        ["0.2", "Embedding"],
        ["1", "Dense"],
    ]


def test_penalty_and_coupling_are_those_of_the_layers(rng):
    params, shape = PAIR.init(rng, ((3,), (2,)), "float64")
    assert shape == (6,)
    assert float(PAIR.penalty(params)[0]) == pytest.approx(0.1 * np.sum(params[0]["weight"] ** 2))
    assert nn.Parallel(nn.BatchNorm(), nn.ReLU()).couples_rows


def test_inside_a_branch_inputs_have_their_own_dtypes(rng):
    """Concatenate gives both branches the same tuple; what they say of its parts is put together."""
    network = nn.Concatenate(
        nn.Parallel(nn.Identity(), nn.Embedding(5, 2)), nn.Parallel(nn.Identity(), nn.Embedding(4, 2))
    )
    assert network.integer_input == (False, True)
    assert network.vocabulary == (None, 4)
