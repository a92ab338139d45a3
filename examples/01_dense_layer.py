"""Lesson 1: the dense layer, y = x w + b.

Exercise: `examples/exercises/01.py`. Live: `arraynn play --preset 01`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, host, lesson, refused, save, show

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# The data: a spiral of three classes with 100 points each. x is (300, 2): a row is a point, a column a coordinate.
# The generator is the book's, RandomState(0), and draws the data first, then the weights.

# %%
rng = np.random.RandomState(0)
points, labels = nn.datasets.spiral(samples=100, classes=3, seed=rng)
x = put(points)
show("x", x, rows=5)
# > x (300, 2)
# >   0.0000   0.0000
# >   0.0030   0.0096
# >   0.0129   0.0156
# >   0.0300   0.0044
# >   0.0393   0.0093

# %% [markdown]
# A dense layer with 3 neurons: each neuron j weighs the inputs and adds its bias,
#
#     y[i, j] = x[i, 0] w[0, j] + x[i, 1] w[1, j] + b[j]        y = x w + b
#
# Shapes: (300, 2) times (2, 3) is (300, 3); b is (3,), and is added to each row. Weights are (inputs, outputs), so
# that no transpose is needed forward. PyTorch stores the transpose. The first row of x is (0, 0), so the first row of
# y is b: a good first check of any dense layer.

# %%
w = put(0.01 * rng.randn(2, 3))
b = put(np.zeros(3))
y, backward = nn.dense(x, w, b)
show("w", w, digits=6)
show("y", y, digits=8, rows=5)
# > w (2, 3)
# >  -0.013065   0.016581  -0.001182
# >  -0.006802   0.006664  -0.004607
# > y (300, 3)
# >   0.00000000   0.00000000   0.00000000
# >  -0.00010475   0.00011395  -0.00004798
# >  -0.00027415   0.00031729  -0.00008692
# >  -0.00042188   0.00052666  -0.00005591
# >  -0.00057708   0.00071401  -0.00008943

# %% [markdown]
# The same as a layer. A layer holds no arrays: `init` makes the parameters, the call takes them. n_in is not said; it
# is read off the data.

# %%
layer = nn.Dense(3, weight_initializer=nn.initializers.normal(0.01))
params, output_shape = layer.init(np.random.RandomState(7), input_shape=(2,), dtype=dtype)
params = nn.put(params, like=x)
print(layer.units, "neurons:", {name: tuple(leaf.shape) for name, leaf in params.items()}, "->", output_shape)
# > 3 neurons: {'weight': (2, 3), 'bias': (3,)} -> (3,)

# %% [markdown]
# The common mistake: no seed. Then each run has other weights, and "it worked yesterday" cannot be looked into. The
# check: run twice and compare. With a seed the runs are equal, bit for bit.


# %%
def outputs(rng):
    params, _ = layer.init(rng, (2,), dtype)
    return host(layer(nn.put(params, like=x), x)[0])


print("seeded runs are equal:  ", np.array_equal(outputs(np.random.default_rng(7)), outputs(np.random.default_rng(7))))
print("unseeded runs are equal:", np.array_equal(outputs(np.random.default_rng()), outputs(np.random.default_rng())))
# > seeded runs are equal:   True
# > unseeded runs are equal: False

# %% [markdown]
# Another one: the book's order of arguments, Layer_Dense(n_inputs, n_neurons). The layer says what to write instead.
# And weights that are stored transposed do not fit; the message names the shapes.

# %%
refused(TypeError, lambda: nn.Dense(2, 3))
refused(nn.ShapeError, lambda: nn.dense(x, w.T, b))
# > TypeError: Dense takes units only; n_in is inferred: Dense(3)
# > ShapeError: expected input (N, 3), got (N, 2)

# %%
if figure := drawing(2):
    left, right = figure.axes
    for k in range(3):
        left.scatter(*points[labels == k].T, s=8, color=COLOURS[k], label=f"class {k}")
        right.scatter(host(y)[labels == k, 0], host(y)[labels == k, 1], s=8, color=COLOURS[k])
    left.set(title="x: what goes in", aspect="equal")
    left.legend(fontsize=7, loc="upper right")
    right.set(title="y: neurons 0 and 1, a linear image")
    save(figure)
