"""Exercise 1: two dense layers that are one.

Without an activation between them, two dense layers are one dense layer. Find its weight and bias: for every x,
dense(dense(x, w1, b1), w2, b2) is to equal dense(x, w, b). Write out (x w1 + b1) w2 + b2 first.
"""

# %%
import numpy as np
from _exercise import equal, run

import arraynn as nn


def merged(w1, b1, w2, b2):
    """w1 : (n_in, n_hidden), w2 : (n_hidden, n_out). Returns w : (n_in, n_out) and b : (n_out,)."""
    raise NotImplementedError


# %% [markdown]
# The check begins with layers 3 -> 3 -> 3, where every product has a fitting shape and only the numbers tell. Then it
# takes 2 -> 4 -> 3, and sends rows through arraynn's layers.


# %%
def check(merged):
    rng = np.random.default_rng(0)
    w1, b1, w2, b2 = (rng.standard_normal(shape) for shape in ((3, 3), 3, (3, 3), 3))
    w, b = merged(w1, b1, w2, b2)
    told = {
        "the order: x meets w1 first, so w1 stands on the left": w2 @ w1,
        "* multiplies number by number; the product of matrices is @": w1 * w2,
    }
    equal("w", w, w1 @ w2, told)
    equal("b", b, b1 @ w2 + b2, {"b1 goes through the second layer too: what becomes of it there?": b1 + b2})
    w1, b1, w2, b2 = (rng.standard_normal(shape) for shape in ((2, 4), 4, (4, 3), 3))
    x = rng.standard_normal((5, 2))
    two, _ = nn.dense(nn.dense(x, w1, b1)[0], w2, b2)
    one, _ = nn.dense(x, *merged(w1, b1, w2, b2))
    equal("y", one, two)


if __name__ == "__main__":
    run(check, merged)
