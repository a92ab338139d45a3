"""Exercise 22: take over PyTorch's weights by hand.

PyTorch's convolution keeps its kernels as (filters, C, kh, kw), arraynn as (kh, kw, C, filters). PyTorch's Linear keeps
(outputs, inputs), arraynn (inputs, outputs). And PyTorch flattens an image of C channels in the order C, H, W, arraynn
in the order H, W, C: the rows of the weight behind a Flatten must follow. Write both weights as arraynn needs them.
"""

# %%
import numpy as np
from _exercise import equal, run

import arraynn as nn


def taken_over(kernel, linear, height, width):
    """kernel : (filters, C, kh, kw), linear : (outputs, filters · height · width). Returns arraynn's two weights."""
    raise NotImplementedError


# %% [markdown]
# The check writes PyTorch's forward as loops on (C, H, W), and sends the same image through arraynn's blocks.


# %%
def check(taken_over):
    rng = np.random.default_rng(0)
    kernel, linear, image = (rng.standard_normal(s) for s in ((4, 4, 2, 2), (5, 4 * 3 * 2), (4, 4, 3)))
    maps = np.zeros((4, 3, 2))
    for f, r, c in np.ndindex(maps.shape):
        maps[f, r, c] = np.sum(kernel[f] * image[:, r : r + 2, c : c + 2])
    ours, weight = taken_over(kernel, linear, 3, 2)
    told = {
        "reshape moves no number, it only counts anew: transpose the axes": kernel.reshape(2, 2, 4, 4),
        "filters and channels are exchanged: (kh, kw, C, filters)": kernel.transpose(2, 3, 0, 1),
    }
    equal("the kernel", ours, kernel.transpose(2, 3, 1, 0), told)
    y, _ = nn.conv2d(image.transpose(1, 2, 0)[None], ours, np.zeros(4))
    equal("the convolution's answer", y[0], maps.transpose(1, 2, 0))
    told = {
        "its rows still follow C, H, W; what comes in follows H, W, C": linear.T,
        "that is PyTorch's own shape order: arraynn has (inputs, outputs)": linear,
    }
    right = linear.reshape(5, 4, 3, 2).transpose(2, 3, 1, 0).reshape(24, 5)
    equal("the dense weight", weight, right, told)
    equal("the network's answer", nn.dense(y.reshape(1, -1), weight, np.zeros(5))[0][0], linear @ maps.ravel())


if __name__ == "__main__":
    run(check, taken_over)
