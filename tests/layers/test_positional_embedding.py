import numpy as np
import pytest

import arraynn as nn
from arraynn.testing import check_backward


@pytest.mark.parametrize("steps", [0, 1, 3, 5])
@pytest.mark.parametrize("rows", [0, 2])
def test_backward_is_the_derivative(xp, rng, steps, rows):
    x, table = xp.asarray(rng.standard_normal((rows, steps, 4))), xp.asarray(rng.standard_normal((5, 4)))
    check_backward(nn.positional_embedding, x, table)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_the_layer_agrees_with_its_function(xp, rng, kind):
    check_backward(nn.PositionalEmbedding(5, kind), xp.asarray(rng.standard_normal((2, 3, 4))))


def test_sinusoidal_encodings_are_those_of_the_paper(rng):
    params, shape = nn.PositionalEmbedding(50, "sinusoidal").init(rng, (50, 6), "float64")
    table = params["statistics"]["weight"]
    assert (table.shape, shape) == ((50, 6), (50, 6))
    for t, i in np.ndindex(50, 3):
        assert table[t, 2 * i] == pytest.approx(np.sin(t / 10_000 ** (2 * i / 6)), abs=1e-12)
        assert table[t, 2 * i + 1] == pytest.approx(np.cos(t / 10_000 ** (2 * i / 6)), abs=1e-12)


def test_sinusoidal_encodings_are_not_trained_and_a_batch_may_be_split(rng, monkeypatch):
    from arraynn.backends import numpy as numpy_backend

    network = nn.Sequential(nn.PositionalEmbedding(4, "sinusoidal"), nn.Dense(3), nn.Flatten(), nn.Dense(2))
    x, y = rng.standard_normal((12, 4, 3)), rng.integers(0, 2, 12)
    found = []
    for block in (10**9, 20):
        monkeypatch.setattr(numpy_backend, "BLOCK", block)
        model = nn.Model(network, optimizer=nn.SGD(0.1), backend="numpy", dtype="float64").build((4, 3))
        before = model.params[0]["statistics"]["weight"].copy()
        model.fit(x, y, epochs=2, batch_size=None, verbose=0)
        assert np.array_equal(model.params[0]["statistics"]["weight"], before)
        found.append(nn.tree.leaves(model.params))
    assert numpy_backend.NumPy.plan(model.params, (x, y, None), network.couples_rows).blocks
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_inputs_that_do_not_fit_are_refused(rng):
    with pytest.raises(nn.ShapeError, match=r"sequences of 6 places, .* are longer than the 5 that there are vectors"):
        nn.PositionalEmbedding(5).init(rng, (6, 4))
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, T, 4\), got \(N, 3, 2\)"):
        nn.positional_embedding(np.zeros((1, 3, 2)), np.zeros((5, 4)))
    with pytest.raises(nn.ShapeError, match=r"expected input \(N, T, D\), got \(N, 3\)"):
        nn.PositionalEmbedding(5).init(rng, (3,))
    with pytest.raises(ValueError, match="length must be an integer of at least 1, got 0"):
        nn.PositionalEmbedding(0)
    with pytest.raises(ValueError, match="kind must be 'learned' or 'sinusoidal', got 'rotary'"):
        nn.PositionalEmbedding(5, "rotary")
