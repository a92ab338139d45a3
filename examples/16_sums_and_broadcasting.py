"""Lesson 16: sums and maxima along axes, keepdims, broadcasting.

Exercise: `examples/exercises/16.py`. Live: `arraynn play --preset 16`.
"""

# %%
import numpy as np
from _lesson import drawing, host, lesson, refused, save, show

import arraynn as nn

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# An axis is a direction: axis 0 goes down the rows, axis 1 across the columns. A sum along an axis makes it
# disappear: of a (3, 4) array, axis=0 leaves (4,), one number a column; axis=1 leaves (3,), one number a row.

# %%
a = put([[1, 2, 3, 4], [5, 6, 7, 8], [3, 6, 4, 5]])
show("sum of all", xp.sum(a), digits=0)
show("sum along axis 0", xp.sum(a, axis=0), digits=0)
show("sum along axis 1", xp.sum(a, axis=1), digits=0)
show("max along axis 1", xp.max(a, axis=1), digits=0)
# > sum of all = 54
# > sum along axis 0 (4,)
# >    9   14   14   17
# > sum along axis 1 (3,)
# >   10   26   18
# > max along axis 1 (3,)
# >    4    8    6

# %% [markdown]
# keepdims=True keeps the axis, with length 1: (3, 1) in place of (3,). It still lies beside the rows it came from.

# %%
show("sum along axis 1, keepdims", xp.sum(a, axis=1, keepdims=True), digits=0)
# > sum along axis 1, keepdims (3, 1)
# >   10
# >   26
# >   18

# %% [markdown]
# Broadcasting: shapes are compared from the right; a length of 1, or a missing axis, is stretched to fit.
#
#     (3, 4) with (3, 1): each row with its own number          (3, 4) with (4,): each column with its own number
#     (3, 4) with (3,):   4 against 3, an error
#
# Softmax is all of this: subtract the row's maximum, exp, divide by the row's sum. And backward, a stretched array's
# gradient is summed along the stretched axis: y = x w + b stretches b over the rows, so db = sum of dy along axis 0.

# %%
e = xp.exp(a - xp.max(a, axis=1, keepdims=True))
show("softmax", e / xp.sum(e, axis=1, keepdims=True))
print("as nn.softmax:", np.allclose(host(nn.softmax(a)[0]), host(e / xp.sum(e, axis=1, keepdims=True))))
# > softmax (3, 4)
# >   0.0321   0.0871   0.2369   0.6439
# >   0.0321   0.0871   0.2369   0.6439
# >   0.0321   0.6439   0.0871   0.2369
# > as nn.softmax: True

# %% [markdown]
# The first mistake: keepdims forgotten. Here (3, 4) against (3,) is an error, and that is luck: with as many columns
# as rows it runs, and divides column j by the sum of row j. The check: the rows of a softmax sum to 1.

# %%
square = e[:, :3]
wrong = square / xp.sum(square, axis=1)
right = square / xp.sum(square, axis=1, keepdims=True)
show("rows without keepdims sum to", xp.sum(wrong, axis=1))
show("rows with keepdims sum to", xp.sum(right, axis=1))
# > rows without keepdims sum to (3,)
# >   0.6452   0.6452   2.0125
# > rows with keepdims sum to (3,)
# >   1.0000   1.0000   1.0000

# %% [markdown]
# The second mistake: a network's output is (N, 1), its targets are (N,). Their difference is (N, N): every prediction
# less every target. Its mean is a number, it falls in training, and it is not the loss. arraynn's losses refuse.

# %%
outputs, targets = put([[1.0], [2.0], [4.0]]), put([1.0, 2.0, 3.0])
difference = outputs - targets
print("shape of the difference:", tuple(difference.shape))
show("mean square of it", xp.mean(difference**2))
show("the loss that was meant", nn.mean_squared_error(outputs[:, 0], targets)[0])
refused(nn.ShapeError, lambda: nn.mean_squared_error(outputs, targets))
# > shape of the difference: (3, 3)
# > mean square of it = 2.3333
# > the loss that was meant = 0.3333
# > ShapeError: targets has shape (3,), outputs has (3, 1); they must be the same

# %%
if figure := drawing(3, width=2.6, height=2.3):
    titles = ("a", "a - its row's maximum", "a - its column's maximum")
    arrays = (a, a - xp.max(a, axis=1, keepdims=True), a - xp.max(a, axis=0))
    for axes, title, array in zip(figure.axes, titles, arrays, strict=True):
        axes.imshow(host(array), cmap="viridis", alpha=0.5)
        for (i, j), value in np.ndenumerate(host(array)):
            axes.text(j, i, f"{value:.0f}", ha="center", va="center")
        axes.set(xticks=[], yticks=[], title=title)
    save(figure)
