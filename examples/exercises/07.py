"""Exercise 7: the chain rule where the way forks.

A residual layer adds its input to what it computes: y = x + tanh(x w + b). So x reaches y by two ways. Write backward
link by link, as in lesson 7; where ways meet, gradients add up. The slope of tanh is 1 - tanh².
"""

# %%
import numpy as np
from _exercise import differences, equal, run

import arraynn as nn


def residual(x, w, b):
    """x : (N, n), w : (n, n), b : (n,). Returns y : (N, n) and backward(dy) -> dx, dw, db."""
    raise NotImplementedError


# %% [markdown]
# The check takes the links from arraynn's blocks, and then takes differences.


# %%
def check(residual):
    rng = np.random.default_rng(0)
    x, w, b, dy = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3), np.ones((4, 3))
    y, backward = residual(x, w, b)
    z, dense_backward = nn.dense(x, w, b)
    a, tanh_backward = nn.tanh(z)
    equal("y", y, x + a, {"x is not added": a})
    dx, dw, db = backward(dy)
    through, right_dw, right_db = dense_backward(tanh_backward(dy))
    no_slope, of_z = dense_backward(dy)[1:], dense_backward(dy * (1 - z**2))[1:]
    missing, wrong = "a link is missing: the slope of tanh, 1 - a²", "tanh's slope is 1 - a², made from a, not from z"
    equal("dw", dw, right_dw, {missing: no_slope[0], wrong: of_z[0]})
    equal("db", db, right_db, {missing: no_slope[1], wrong: of_z[1]})
    told = {
        "x reaches y by another way, past the layer: its dy is missing": through,
        "that is the way past the layer alone; x goes through the layer too": dy,
    }
    equal("dx", dx, dy + through, told)
    differences(residual, x, w, b)


if __name__ == "__main__":
    run(check, residual)
