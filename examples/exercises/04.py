"""Exercise 4: one weight, used twice.

An autoencoder with tied weights goes down and up by the same w: h = x w, then y = h wᵀ. Write its backward. w is used
twice, and "where a number is used more than once, its parts add up".
"""

# %%
import numpy as np
from _exercise import differences, equal, run


def tied(x, w):
    """x : (N, n), w : (n, k). Returns y : (N, n) and backward(dy) -> dx, dw."""
    raise NotImplementedError


# %% [markdown]
# The check begins with a square w, where a forgotten transpose has a fitting shape, and goes on with w (4, 2).


# %%
def check(tied):
    rng = np.random.default_rng(0)
    x, w, dy = rng.standard_normal((3, 4)), rng.standard_normal((4, 4)), rng.standard_normal((3, 4))
    y, backward = tied(x, w)
    equal("y", y, x @ w @ w.T, {"y = h wᵀ, with the transpose": x @ w @ w})
    dx, dw = backward(dy)
    dh, h = dy @ w, x @ w
    equal("dx", dx, dh @ w.T, {"dx = dh wᵀ: going back, w is transposed": dh @ w})
    down, up = x.T @ dh, dy.T @ h
    told = {
        "that is the way down alone; w is used in y = h wᵀ too": down,
        "that is the way up alone; w is used in h = x w too": up,
        "the way up is y = h wᵀ, so its part is dyᵀ h; hᵀ dy is the gradient of wᵀ": down + up.T,
    }
    equal("dw", dw, down + up, told)
    differences(tied, x, w[:, :2])


if __name__ == "__main__":
    run(check, tied)
