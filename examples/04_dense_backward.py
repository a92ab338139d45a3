"""Lesson 4: the dense layer backward: dw, db and dx.

Exercise: `examples/exercises/04.py`. Live: `arraynn play --preset 04`.
"""

# %%
from _lesson import caught, lesson, refused, show

import arraynn as nn

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# Three rows of four inputs go into three neurons. x is (3, 4), w (4, 3), b (3,), so y = x w + b is (3, 3). The
# weights are written here a neuron a row, as many texts do, and transposed: arraynn's w is (inputs, outputs).

# %%
x = put([[1.0, 2.0, 3.0, 2.5], [2.0, 5.0, -1.0, 2.0], [-1.5, 2.7, 3.3, -0.8]])
w = put([[0.2, 0.8, -0.5, 1.0], [0.5, -0.91, 0.26, -0.5], [-0.26, -0.27, 0.17, 0.87]]).T
b = put([2.0, 3.0, 0.5])
y, dense_backward = nn.dense(x, w, b)
show("y", y, digits=3)
# > y (3, 3)
# >   4.800   1.210   2.385
# >   8.900  -1.810   0.200
# >   1.410   1.051   0.026

# %% [markdown]
# dy is the gradient of the loss by y: it comes from the next layer. Here it is given. Forward was y[i, j] = Σ_k x[i,
# k] w[k, j] + b[j]. Follow one number of each kind to the loss:
#
#     w[k, j] meets x[i, k] in every row i:      dw[k, j] = Σ_i x[i, k] dy[i, j]     dw = xᵀ dy          (4, 3)
#     b[j] is added in every row i:              db[j]    = Σ_i dy[i, j]             db = the column sums  (3,)
#     x[i, k] meets w[k, j] in every neuron j:   dx[i, k] = Σ_j dy[i, j] w[k, j]     dx = dy wᵀ          (3, 4)
#
# Where a number is used more than once, its parts add up. A gradient has the shape of what it belongs to.

# %%
dy = put([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
dx, dw, db = dense_backward(dy)
show("dw", dw, digits=2)
show("db", db, digits=2)
show("dx", dx, digits=2)
# > dw (4, 3)
# >   0.50   0.50   0.50
# >  20.10  20.10  20.10
# >  10.90  10.90  10.90
# >   4.10   4.10   4.10
# > db (3,)
# >   6.00   6.00   6.00
# > dx (3, 4)
# >   0.44  -0.38  -0.07   1.37
# >   0.88  -0.76  -0.14   2.74
# >   1.32  -1.14  -0.21   4.11

# %% [markdown]
# One of them by hand: db[0] = 1 + 2 + 3 = 6. And dw[0, 0] = 1·1 + 2·2 - 1.5·3 = 0.5. And dx[0, 0] = 0.2 + 0.5 - 0.26.
# The shapes almost write the formulas: of x (3, 4) and dy (3, 3), only xᵀ dy can be (4, 3). A forgotten transpose is
# therefore an error of shapes. But only almost:

# %%
refused(nn.ShapeError, lambda: nn.dense(x, w.T, b))
# > ShapeError: expected input (N, 3), got (N, 4)


# %% [markdown]
# The common mistake: dx = dy w without the transpose. Where a layer has as many inputs as outputs, w is square, the
# shapes fit, and nothing complains. The network even learns a little, as the last layer's gradients are right. The
# check, check_backward, moves each number of x, w and b a little, sees how forward answers, and compares.


# %%
def dense_without_transpose(x, w, b):
    y, backward = nn.dense(x, w, b)
    return y, lambda dy: (dy @ w, *backward(dy)[1:])


square = put([[0.2, 0.8, -0.5], [0.5, -0.91, 0.26], [-0.26, -0.27, 0.17]])
caught(dense_without_transpose, x[:, :3], square, b)
# > dense_without_transpose: dx is wrong, at 9 of 9 elements, most at [2, 2]: expected 0.1332, got 1.05 (x[2, 2] =
# >     3.3)
# >   (dw, db: right)


# %% [markdown]
# The next mistake: the mean of the rows instead of their sum. Dividing by N is the loss's work, and is done there
# once.


# %%
def dense_with_mean(x, w, b):
    y, _ = nn.dense(x, w, b)
    return y, lambda dy: (dy @ w.T, x.T @ dy, xp.mean(dy, axis=0))


caught(dense_with_mean, x, w, b)
# > dense_with_mean: db is wrong, at 3 of 3 elements, most at [1]: expected 3.313, got 1.104 (b[1] = 3)
# >   it is off by a constant factor 0.3333, 1 / the number of rows: is it a mean instead of a sum?
# >   (dx, dw: right)
