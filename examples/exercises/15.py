"""Exercise 15: an L1 that reaches 0.

L1 is said to drive weights to exactly 0. Descent with its slope λ sign(w) does not: near 0 it jumps from side to side.
What does: first a step along the gradient of the data loss alone, u = w - lr g. Then shrink: u moves towards 0 by lr λ,
and stays at 0 where it would cross. Write both.
"""

# %%
import numpy as np
from _exercise import equal, require, run

import arraynn as nn


def l1_step(w, g, lr, lam):
    """w, g : arrays of one shape. Returns the new w."""
    raise NotImplementedError


# %% [markdown]
# The check: five weights by hand, then 100 steps down (w - a)² / 2 + λ |w|. Its minimum is a, moved towards 0 by λ.


# %%
def check(l1_step):
    w, g = np.asarray([1.0, -1.0, 0.03, -0.02, 0.04]), np.asarray([0.5, 0.5, 0.0, 0.0, 1.0])
    new = l1_step(w, g, 0.1, 0.5)  # u = (0.95, -1.05, 0.03, -0.02, -0.06), shrunk by 0.05
    u = w - 0.1 * g
    before = np.sign(w) * np.maximum(np.abs(w) - 0.05, 0) - 0.1 * g
    told = {
        "that is the slope λ sign(w) of L1: it jumps over 0": w - 0.1 * (g + nn.L1(0.5)(w)[1]()),
        "it crosses 0: what is nearer to 0 than lr λ must stay there": np.sign(u) * (np.abs(u) - 0.05),
        "shrink by lr λ, not by λ": np.sign(u) * np.maximum(np.abs(u) - 0.5, 0),
        "it shrinks before the step; the step comes first": before,
        "it does not shrink at all": u,
    }
    equal("w", new, [0.9, -1.0, 0.0, 0.0, -0.01], told)
    a, w = np.asarray([2.0, -0.3, 0.4, -1.0]), np.ones(4)
    for _ in range(100):
        w = l1_step(w, w - a, 0.3, 0.5)
    equal("w after 100 steps", w, [1.5, 0.0, 0.0, -0.5])
    require((w[1:3] == 0).all(), "w[1] and w[2] must be 0, not merely small")


if __name__ == "__main__":
    run(check, l1_step)
