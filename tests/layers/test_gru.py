"""The gated unit by its formula; what it shares with the others is tested in test_lstm.py."""

import numpy as np
import pytest

import arraynn as nn


def test_it_equals_the_recurrence_in_its_docstring(xp, rng):
    shapes = ((2, 4, 3), (3, 6), (2, 6), (6,), (2,))
    x, w, u, b, d = (rng.standard_normal(shape) for shape in shapes)
    states, h = xp.to_numpy(nn.gru(*map(xp.asarray, (x, w, u, b, d)))[0]), np.zeros((2, 2))
    for t in range(4):
        (xr, xz, xn), (hr, hz, hn) = (np.split(a, 3, axis=1) for a in (x[:, t] @ w + b, h @ u))
        r, z = (1 / (1 + np.exp(-a)) for a in (xr + hr, xz + hz))
        h = (1 - z) * np.tanh(xn + r * (hn + d)) + z * h
        np.testing.assert_allclose(states[:, t], h, rtol=1e-4, atol=1e-5)


def test_biases_that_do_not_fit_are_refused():
    arrays = [np.zeros(shape) for shape in ((2, 4, 3), (3, 6), (2, 6), (6,), (6,))]
    with pytest.raises(nn.ShapeError, match=r"d must have the shape \(2,\), got"):
        nn.gru(*arrays)
