"""The simple network by hand; what it shares with the others is tested in test_lstm.py."""

import numpy as np

import arraynn as nn


def test_it_equals_the_recurrence_in_its_docstring(xp, rng):
    x, w, u, b = (rng.standard_normal(shape) for shape in ((2, 4, 3), (3, 2), (2, 2), (2,)))
    states, h = xp.to_numpy(nn.rnn(*map(xp.asarray, (x, w, u, b)))[0]), np.zeros((2, 2))
    for t in range(4):
        h = np.tanh(x[:, t] @ w + h @ u + b)
        np.testing.assert_allclose(states[:, t], h, rtol=1e-4, atol=1e-5)


def test_gradients_through_time_equal_those_worked_by_hand():
    # h_1 = tanh(x_1 w), h_2 = tanh(x_2 w + h_1 u), loss h_2: dw = (1 - h_2²) (x_2 + u (1 - h_1²) x_1)
    x, w, u = np.asarray([[[0.5], [-0.3]]]), np.asarray([[0.7]]), np.asarray([[0.4]])
    h, backward = nn.rnn(x, w, u, np.zeros(1))
    dx, dw, du, db = backward(np.asarray([[[0.0], [1.0]]]))
    first, second = 1 - h[0, :, 0] ** 2
    np.testing.assert_allclose(dw, second * (-0.3 + 0.4 * first * 0.5))
    np.testing.assert_allclose(du, second * h[0, 0, 0])
    np.testing.assert_allclose(db, [second * (1 + 0.4 * first)])
    np.testing.assert_allclose(dx[0, :, 0], [second * 0.4 * first * 0.7, second * 0.7])
