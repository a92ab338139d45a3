"""Exercise 19: average pooling with windows that overlap.

y[r, c] is the mean of the size × size window of x whose upper left corner is [r, c]; the next window is one pixel
further, so windows overlap. Write value and backward for one grey image. A pixel lies in several windows: what does it
get from each?
"""

# %%
import numpy as np
from _exercise import differences, equal, run

import arraynn as nn


def pooled(x, size):
    """x : (H, W). Returns y : (H - size + 1, W - size + 1) and backward(dy) -> dx."""
    raise NotImplementedError


# %% [markdown]
# The check compares with `nn.average_pool2d(…, strides=1)`, and takes differences.


# %%
def check(pooled):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((4, 5)), rng.standard_normal((3, 4))
    y, backward = pooled(x, 2)
    right, right_backward = nn.average_pool2d(x.reshape(1, 4, 5, 1), 2, strides=1)
    equal("y", y, right[0, :, :, 0], {"that is the sum of each window, not its mean": 4 * right[0, :, :, 0]})
    dx = right_backward(dy.reshape(1, 3, 4, 1))[0, :, :, 0]
    written = np.zeros((4, 5))
    for r, c in np.ndindex(3, 4):
        written[r : r + 2, c : c + 2] = dy[r, c] / 4
    told = {
        "written, not added: a pixel keeps the gradient of its last window alone": written,
        "a pixel moves the mean of four by a quarter of what it moves: / size² is missing": 4 * dx,
        "divide by size², the pixels of a window, not by size": 2 * dx,
    }
    equal("dx", backward(dy), dx, told)
    differences(lambda x: pooled(x, 3), x)


if __name__ == "__main__":
    run(check, pooled)
