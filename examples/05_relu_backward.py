"""Lesson 5: ReLU backward: dx = dy where x > 0.

Exercise: `examples/exercises/05.py`. Live: `arraynn play --preset 05`.
"""

# %%
import numpy as np
from _lesson import COLOURS, caught, drawing, host, lesson, save, show

import arraynn as nn

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# Forward was y = max(x, 0), number by number. Where x > 0, y = x and the slope is 1: dy passes through. Where x < 0,
# y = 0 whatever x does: the slope is 0, and nothing passes. So dx = dy · [x > 0], in the shape of x. At x = 0 there
# is a kink and no slope; arraynn takes 0. The row's example: z are a layer's outputs, dy is what comes from the next
# layer.

# %%
z = put([[1.0, 2.0, -3.0, -4.0], [2.0, -7.0, -1.0, 3.0], [-1.0, 2.0, 5.0, -1.0]])
dy = put([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]])
y, relu_backward = nn.relu(z)
show("y", y, digits=0)
show("dx", relu_backward(dy), digits=0)
# > y (3, 4)
# >    1    2    0    0
# >    2    0    0    3
# >    0    2    5    0
# > dx (3, 4)
# >    1    2    0    0
# >    5    0    0    8
# >    0   10   11    0

# %% [markdown]
# Read dx beside z: the first row of z is (+, +, -, -), so the first row of dx is (1, 2, 0, 0). The size of z does not
# matter, only its sign: 5.0 passes 11 just as 2.0 passes 10.

# %% [markdown]
# The first mistake: the upstream gradient is overwritten. In NumPy, `dy *= mask` and `dy[z <= 0] = 0` write into the
# caller's array. Where the same dy goes two ways (as in a residual network), the other way gets one with holes. A
# backward must be free of side effects: dy * mask makes a new array.


# %%
def relu_that_writes(x):
    def writing_backward(dy):
        dy *= xp.astype(x > 0, dy.dtype)
        return dy

    return nn.relu(x)[0], writing_backward


if backend.name == "jax":
    print("relu_that_writes: JAX's arrays cannot be written to, so here it is right")
else:
    caught(relu_that_writes, z)
# > relu_that_writes: backward wrote to dy; backward must be free of side effects


# %% [markdown]
# The second mistake: the mask is made from the wrong array, dy > 0 instead of z > 0. Lesson 17 meets it in a network.
# The gradient's numbers look as they should. Only a comparison with differences tells.


# %%
def relu_masked_by_dy(x):
    return nn.relu(x)[0], lambda dy: dy * xp.astype(dy > 0, dy.dtype)


caught(relu_masked_by_dy, z)
# > relu_masked_by_dy: dx is wrong, at 7 of 12 elements, most at [1, 1]: expected 0, got 1.413 (x[1, 1] = -7)
# >   each element is right or zero: is a mask made from the wrong array?


# %% [markdown]
# A check has a limit: at a kink a difference is neither slope. check_backward says so, and asks for another point.

# %%
caught(nn.relu, put([[1.0, 0.0, -1.0]]))

# %%
if figure := drawing(2):
    left, right = figure.axes
    a = np.linspace(-3, 3, 301)
    left.plot(a, host(nn.relu(put(a))[0]), color=COLOURS[0], label="y = max(x, 0)")
    left.plot(a, host(nn.relu(put(a))[1](put(np.ones(301)))), color=COLOURS[4], label="dx for dy = 1")
    left.set(title="ReLU and its slope", xlabel="x")
    left.legend(frameon=False, fontsize=8)
    right.imshow(host(z) > 0, cmap="Greys_r", vmin=-1.5, vmax=1)
    for (i, j), value in np.ndenumerate(host(relu_backward(dy))):
        right.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=11)
    right.set(title="dx: white where z > 0", xticks=[], yticks=[])
    save(figure)
