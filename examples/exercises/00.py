"""Exercise 0: a step by hand, with tanh and squares.

Lesson 0 has ReLU and softmax. Here are XOR's four points, a hidden layer with tanh, and one output whose loss is the
mean square, loss = Σ (y - t)² / N. Forward is given. Write the backward lines, and one step of descent with learning
rate 0.5 for all four parameters.
"""

# %%
import numpy as np
from _exercise import equal, run

import arraynn as nn


def step(x, t, w1, b1, w2, b2):
    """x : (N, 2), t : (N, 1). Returns the loss and the new (w1, b1, w2, b2)."""
    z1 = x @ w1 + b1
    h = np.tanh(z1)  # its slope is 1 - tanh²
    y = h @ w2 + b2
    loss = np.mean((y - t) ** 2)
    raise NotImplementedError
    return loss, (w1, b1, w2, b2)


# %% [markdown]
# The check takes the same step with arraynn's blocks.


# %%
def check(step):
    rng = np.random.default_rng(0)
    x, t = np.asarray([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.asarray([[0.0], [1], [1], [0]])
    w1, b1, w2, b2 = rng.standard_normal((2, 4)), rng.standard_normal(4), rng.standard_normal((4, 1)), np.zeros(1)
    loss, new = step(x, t, w1.copy(), b1.copy(), w2.copy(), b2.copy())
    z1, dense1_backward = nn.dense(x, w1, b1)
    h, tanh_backward = nn.tanh(z1)
    y, dense2_backward = nn.dense(h, w2, b2)
    wanted, loss_backward = nn.mean_squared_error(y, t)
    dy = loss_backward()
    dh, dw2, db2 = dense2_backward(dy)
    _, dw1, db1 = dense1_backward(tanh_backward(dh))
    early = x.T @ tanh_backward(dy @ (w2 - 0.5 * dw2).T)
    equal("loss", loss, wanted)
    equal("b2", new[3], b2 - 0.5 * db2, {"the loss is a mean over N rows, so dy has / N": b2 - 2 * db2})
    equal("w2", new[2], w2 - 0.5 * dw2)
    order = "dh was made with the new w2: first all gradients, then all updates"
    slope = "tanh's slope is 1 - h², made from its output, not from z1"
    equal("w1", new[0], w1 - 0.5 * dw1, {order: w1 - 0.5 * early, slope: w1 - 0.5 * x.T @ (dh * (1 - z1**2))})
    equal("b1", new[1], b1 - 0.5 * db1)


if __name__ == "__main__":
    run(check, step)
