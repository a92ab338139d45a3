"""Exercise 3: drop weights, not neurons (DropConnect).

Dropout switches off outputs of a layer. DropConnect switches off single weights: y = x (w m / (1 - rate)), where each
number of m is 0 with probability `rate`, else 1. Draw m = rng.random(w.shape) >= rate, once. Write value and backward.
"""

# %%
import numpy as np
from _exercise import differences, equal, run


def drop_connect(x, w, rate, rng):
    """x : (N, n_in), w : (n_in, n_out). Returns y : (N, n_out) and backward(dy) -> dx, dw."""
    raise NotImplementedError


# %% [markdown]
# The check draws the same mask, compares numbers, and then takes differences. Over many masks the mean of y must be
# x w: that is what the factor is for.


# %%
def check(drop_connect):
    rng = np.random.default_rng(0)
    x, w, dy = rng.standard_normal((4, 5)), rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    draws = np.random.default_rng(1)
    mask, another = draws.random(w.shape) >= 0.2, draws.random(w.shape) >= 0.2
    y, backward = drop_connect(x, w, 0.2, np.random.default_rng(1))
    scale = {
        "survivors are scaled by 1 / (1 - rate), or the mean of y shrinks": x @ (w * mask),
        "the factor is 1 / (1 - rate): rate is the probability of dropping": x @ (w * mask / 0.2),
    }
    equal("y", y, x @ (w * mask / 0.8), scale)
    dx, dw = backward(dy)
    other = "backward drew another mask: draw once, and keep it for the backward"
    equal(
        "dx", dx, dy @ (w * mask / 0.8).T, {other: dy @ (w * another / 0.8).T, "dx goes through the mask too": dy @ w.T}
    )
    dropped = {other: x.T @ dy * another / 0.8, "a weight that was dropped did nothing, so its gradient is 0": x.T @ dy}
    equal("dw", dw, x.T @ dy * mask / 0.8, dropped)

    def same_mask(x, w):
        return drop_connect(x, w, 0.2, np.random.default_rng(1))

    differences(same_mask, x, w)
    many = np.mean([drop_connect(x, w, 0.2, rng)[0] for _ in range(2000)], axis=0)
    equal("the mean of y over 2,000 masks", many, x @ w, tolerance=0.1)


if __name__ == "__main__":
    run(check, drop_connect)
