"""Exercise 5: a ReLU with a ceiling, y = min(max(x, 0), 6).

It is flat on both sides, so it has two kinks, and two places where nothing passes. Write value and backward. For
x = (-1, 2, 7) and dy = (3, -4, 5): y = (0, 2, 6) and dx = (0, -4, 0). At the kinks take slope 0.
"""

# %%
import numpy as np
from _exercise import differences, equal, require, run


def capped_relu(x):
    """x : float array of any shape. Returns y, shaped as x, and backward(dy) -> dx."""
    raise NotImplementedError


# %% [markdown]
# The check: a worked row, then dy as it was, then differences.


# %%
def check(capped_relu):
    x, dy = np.asarray([-1.0, 2.0, 7.0, 4.0, 0.0, 6.0, -3.0]), np.asarray([3.0, -4.0, 5.0, 1.0, 2.0, 3.0, -2.0])
    y, backward = capped_relu(x)
    equal("y", y, [0, 2, 6, 4, 0, 6, 0], {"the ceiling of 6 is missing": np.maximum(x, 0)})
    given = dy.copy()
    dx = backward(given)
    told = {
        "the mask is made from the signs of dy; what counts is where x lies": dy * (dy > 0),
        "at x = 7 the output is 6, whatever x does: nothing passes there": dy * (x > 0),
        "below 0 the output is 0, whatever x does: nothing passes there": dy * (x < 6),
        "at the kinks, x = 0 and x = 6, take slope 0": dy * ((x >= 0) & (x <= 6)),
        "dx is the slope alone; the chain rule multiplies it by dy": (x > 0) & (x < 6),
    }
    equal("dx", dx, dy * ((x > 0) & (x < 6)), told)
    require(np.array_equal(given, dy), "backward wrote into dy, which belongs to the caller: make a new array")
    differences(capped_relu, np.random.default_rng(0).normal(3, 4, (5, 4)))


if __name__ == "__main__":
    run(check, capped_relu)
