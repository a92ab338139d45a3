import numpy as np
import pytest

import arraynn as nn
from arraynn.layers import _embedding
from arraynn.testing import check_backward


@pytest.mark.parametrize("shape", [(6,), (3, 4), (0,), (0, 4), ()])
def test_backward_is_the_derivative(xp, rng, shape):
    words = xp.asarray(rng.integers(0, 5, shape))
    check_backward(nn.embedding, words, xp.asarray(rng.standard_normal((5, 2))))


def test_the_layer_agrees_with_its_function(xp, rng):
    check_backward(nn.Embedding(5, 2, weight_regularizer=nn.L2(0.1)), xp.asarray(rng.integers(0, 5, (3, 4))))


@pytest.mark.parametrize("block", [1, 7, 2**24])
def test_gradients_of_row_blocks_add_up(xp, rng, block, monkeypatch):
    monkeypatch.setattr(_embedding, "BLOCK", block)
    words, dy = rng.integers(0, 5, 11), rng.standard_normal((11, 2))
    expected = np.zeros((5, 2))
    np.add.at(expected, words, dy)
    _, backward = nn.embedding(xp.asarray(words), xp.asarray(np.zeros((5, 2))))
    np.testing.assert_allclose(xp.to_numpy(backward(xp.asarray(dy))[1]), expected, rtol=1e-5, atol=1e-6)


def test_it_agrees_with_torch(rng):
    torch = pytest.importorskip("torch")
    words, table, dy = rng.integers(0, 5, (3, 4)), rng.standard_normal((5, 2)), rng.standard_normal((3, 4, 2))
    given = torch.tensor(table, requires_grad=True)
    expected = torch.nn.functional.embedding(torch.tensor(words), given)
    expected.backward(torch.tensor(dy))
    y, backward = nn.embedding(words, table)
    assert np.array_equal(y, expected.detach().numpy())
    dx, dtable = backward(dy)
    assert dx is None
    np.testing.assert_allclose(dtable, given.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_every_integer_dtype_is_taken(xp, dtype):
    table = xp.asarray([[1.0], [2.0], [3.0]])
    y, backward = nn.embedding(xp.asarray([2, 0, 2], dtype), table)
    assert xp.to_numpy(y)[:, 0].tolist() == [3.0, 1.0, 3.0]
    assert xp.to_numpy(backward(xp.asarray([[1.0], [1.0], [1.0]]))[1])[:, 0].tolist() == [1.0, 0.0, 2.0]


def test_floats_are_refused(xp):
    with pytest.raises(nn.DataError, match=r"takes integers in \[0, 3\), got .*float"):
        nn.embedding(xp.asarray([1.0]), xp.asarray(np.zeros((3, 2))))


@pytest.mark.parametrize("word", [-1, 7])
def test_a_model_refuses_indices_outside_the_vocabulary(backend, word):
    # NumPy counts -1 from the end forward, and backward knows no such word; other libraries do as they like
    branches = nn.Concatenate(nn.Embedding(7, 2), nn.Embedding(9, 2))
    model = nn.Model(nn.Sequential(branches, nn.Flatten(), nn.Dense(2)), backend=backend)
    words, labels = np.asarray([[0, 6], [3, word]]), np.asarray([0, 1])
    for call in (lambda: model.fit(words, labels, epochs=1, verbose=0), lambda: model.build((2,)).predict(words)):
        with pytest.raises(nn.DataError, match=rf"x must lie in \[0, 6\], got {word}; the embedding has 7 words"):
            call()
    with pytest.raises(nn.DataError, match="the embedding has 7 words"):
        model.explain(words, labels)


def test_init_draws_the_table_and_the_output_has_one_more_axis(rng):
    layer = nn.Embedding(7, 3)
    params, shape = layer.init(rng, (4,))
    assert (params["weight"].shape, params["weight"].dtype.name, shape) == ((7, 3), "float32", (4, 3))
    assert layer.init(rng, ())[1] == (3,)
    assert layer.integer_input
    small = nn.Embedding(7, 3, weight_initializer=nn.initializers.zeros)
    assert not np.any(small.init(rng, ())[0]["weight"])


@pytest.mark.parametrize(("vocabulary", "units"), [(0, 2), (3, 0), (3.0, 2), (True, 2), (3, "2")])
def test_sizes_are_positive_integers(vocabulary, units):
    with pytest.raises(ValueError, match="must be an integer of at least 1, got"):
        nn.Embedding(vocabulary, units)
