"""Lesson 2: ReLU and softmax, in a network 2 -> 3 -> 3.

Exercise: `examples/exercises/02.py`. Live: `arraynn play --preset 02`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, host, lesson, save, show

import arraynn as nn
from arraynn.testing import check_backward

backend, dtype, put = lesson()

# %% [markdown]
# Two dense layers in a row are one dense layer: (x w1) w2 = x (w1 w2). A function that bends must stand between them.
# ReLU, the rectified linear unit, is y = max(x, 0), number by number.

# %%
y, relu_backward = nn.relu(put([[-2.0, -0.5, 0.0, 0.5, 2.0]]))
show("relu", y, digits=1)
# > relu (1, 5)
# >   0.0   0.0   0.0   0.5   2.0

# %% [markdown]
# Softmax turns a row of any numbers ("logits") into probabilities: y[j] = exp(x[j]) / Σ exp(x[k]). All are positive,
# and each row sums to 1. Only differences count: adding 100 to all changes nothing.

# %%
y, softmax_backward = nn.softmax(put([[1.0, 2.0, 3.0], [101.0, 102.0, 103.0]]))
show("softmax", y)
# > softmax (2, 3)
# >   0.0900   0.2447   0.6652
# >   0.0900   0.2447   0.6652

# %% [markdown]
# The common mistake: exp(x) as it stands overflows. exp(1000) is infinite, and infinite / infinite is nan. The remedy
# uses "only differences count": subtract the row's largest number first. Then the largest exp is exp(0) = 1.

# %%
large = np.asarray([1000.0, 999.0, 998.0])
with np.errstate(over="ignore", invalid="ignore"):
    print("as it stands:  ", np.exp(large) / np.sum(np.exp(large)))
print("maximum first: ", np.round(host(nn.softmax(put(large))[0]), 4))
# > as it stands:   [nan nan nan]
# > maximum first:  [0.6652 0.2447 0.09  ]

# %% [markdown]
# The row's network on the spiral: x (300, 2) -> dense -> ReLU -> dense -> softmax -> probabilities (300, 3). The
# weights are tiny, 0.01 times normal numbers, so all logits are near 0 and all classes near 1/3. That is what an
# untrained classifier should say. If yours says otherwise, look at its initial weights.

# %%
rng = np.random.RandomState(0)
points, _ = nn.datasets.spiral(100, 3, seed=rng)
x = put(points)
w1, b1 = put(0.01 * rng.randn(2, 3)), put(np.zeros(3))
w2, b2 = put(0.01 * rng.randn(3, 3)), put(np.zeros(3))
z1, _ = nn.dense(x, w1, b1)
h, _ = nn.relu(z1)
z2, _ = nn.dense(h, w2, b2)
p, _ = nn.softmax(z2)
show("probabilities", p, digits=6, rows=5)
# > probabilities (300, 3)
# >   0.333333   0.333333   0.333333
# >   0.333333   0.333333   0.333334
# >   0.333333   0.333333   0.333334
# >   0.333333   0.333333   0.333335
# >   0.333332   0.333332   0.333335

# %% [markdown]
# Backward. Forward was y = max(x, 0), so dx = dy where x > 0, else 0 (lesson 5). For softmax, y[j] depends on every
# x[k]: dy[j]/dx[k] = y[j] (δ[j, k] - y[k]), so dx[k] = y[k] (dy[k] - Σ dy[j] y[j]). A row's dx sums to 0, since its y
# sums to 1. The check: check_backward compares both with differences of the forward. It says nothing where all is
# right.

# %%
some = put(np.random.default_rng(0).standard_normal((4, 3)))
check_backward(nn.relu, some)
check_backward(nn.softmax, some)
print("relu and softmax: the backward is the derivative of the forward")
# > relu and softmax: the backward is the derivative of the forward

# %%
if figure := drawing(2):
    left, right = figure.axes
    a = np.linspace(-4, 4, 201)
    left.plot(a, host(nn.relu(put(a))[0]), color=COLOURS[0])
    left.set(title="ReLU", xlabel="x")
    rows = host(nn.softmax(put(np.stack([a, 0 * a, 0 * a - 1], axis=1)))[0])
    for k, name in enumerate(("x", "0", "-1")):
        right.plot(a, rows[:, k], color=COLOURS[k], label=f"logit {name}")
    right.set(title="softmax of (x, 0, -1)", xlabel="x")
    right.legend(frameon=False, fontsize=8)
    save(figure)
