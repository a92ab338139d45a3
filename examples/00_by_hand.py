"""Lesson 0: two layers by hand. Forward five lines, chain rule eight lines, no classes.

Exercise: `examples/exercises/00.py`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, host, lesson, save, show

import arraynn as nn

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# The task is XOR: four points (N = 4), two classes, and no straight line between them, so one layer is not enough.
# Shapes: x (4, 2), w1 (2, 8), b1 (8,), w2 (8, 2), b2 (2,). A row is a point; weights are (inputs, outputs). The seed
# fixes the weights: without one, no two runs agree.

# %%
x = put([[0, 0], [0, 1], [1, 0], [1, 1]])
labels = backend.asarray([0, 1, 1, 0])
onehot = put([[1, 0], [0, 1], [0, 1], [1, 0]])
rng = np.random.default_rng(0)
w1, b1 = put(rng.standard_normal((2, 8))), put(np.zeros(8))
w2, b2 = put(rng.standard_normal((8, 2))), put(np.zeros(2))


# %% [markdown]
# Forward, then backward in mirror order. dq is the gradient of the loss by q, and has the shape of q. Each backward
# line undoes one forward line: "forward was z2 = h w2 + b2, so dw2 = hᵀ dz2". The first line is softmax and -log
# together; lesson 8 derives it. /N is there since the loss is a mean.


# %%
def step(x, w1, b1, w2, b2):
    z1 = x @ w1 + b1
    h = z1 * xp.astype(z1 > 0, z1.dtype)  # ReLU
    z2 = h @ w2 + b2
    p = xp.exp(z2) / xp.sum(xp.exp(z2), axis=1, keepdims=True)  # softmax: rows sum to 1
    loss = -xp.mean(xp.log(xp.sum(p * onehot, axis=1)))

    dz2 = (p - onehot) / x.shape[0]
    dw2 = h.T @ dz2
    db2 = xp.sum(dz2, axis=0)
    dh = dz2 @ w2.T
    dz1 = dh * xp.astype(z1 > 0, dh.dtype)
    dw1 = x.T @ dz1
    db1 = xp.sum(dz1, axis=0)
    dx = dz1 @ w1.T
    return loss, (dx, dw1, db1, dw2, db2)


loss, by_hand = step(x, w1, b1, w2, b2)
show("loss", loss)
# > loss = 0.5805

# %% [markdown]
# arraynn's blocks are these lines, one function each: every block returns its value and its backward.

# %%
z1, dense1_backward = nn.dense(x, w1, b1)
h, relu_backward = nn.relu(z1)
z2, dense2_backward = nn.dense(h, w2, b2)
loss, loss_backward = nn.softmax_cross_entropy(z2, labels)
dh, dw2, db2 = dense2_backward(loss_backward())
dx, dw1, db1 = dense1_backward(relu_backward(dh))
worst = max(float(xp.max(xp.abs(a - b))) for a, b in zip(by_hand, (dx, dw1, db1, dw2, db2), strict=True))
print("by hand and by blocks agree:", worst < 1e-6)
# > by hand and by blocks agree: True

# %% [markdown]
# The common mistake: w2 is updated as soon as dw2 is there, and dh is then made with the new w2. First all gradients,
# then all updates. The check is this comparison; lesson 4 has another that needs no second implementation.

# %%
print("with w2 updated first, dh agrees:", bool(xp.all(xp.abs(loss_backward() @ (w2 - 0.5 * dw2).T - dh) < 1e-6)))
# > with w2 updated first, dh agrees: False
losses = []  # training: walk against the gradient, 500 times
for _ in range(500):
    loss, (_, *grads) = step(x, w1, b1, w2, b2)
    w1, b1, w2, b2 = (p - 0.5 * g for p, g in zip((w1, b1, w2, b2), grads, strict=True))
    losses.append(float(loss))
print(f"loss {losses[0]:.3f} at first, {losses[-1]:.3f} at the end")
show("probability of class 1", nn.softmax(nn.dense(nn.relu(nn.dense(x, w1, b1)[0])[0], w2, b2)[0])[0][:, 1], digits=2)
# > loss 0.580 at first, 0.002 at the end
# > probability of class 1 (4,)
# >   0.00   1.00   1.00   0.00

# %%
if figure := drawing(2):
    left, right = figure.axes
    left.plot(losses, color=COLOURS[0])
    left.set(title="loss", xlabel="step")
    a = np.linspace(-0.3, 1.3, 80)
    grid = put(np.stack(np.meshgrid(a, a), axis=-1).reshape(-1, 2))
    z = nn.dense(nn.relu(nn.dense(grid, w1, b1)[0])[0], w2, b2)[0]
    image = host(nn.softmax(z)[0])[:, 1].reshape(80, 80)
    right.imshow(image, origin="lower", extent=(-0.3, 1.3, -0.3, 1.3), cmap="RdBu_r", alpha=0.7)
    dots = right.scatter(*host(x).T, c=host(labels), cmap="RdBu_r", edgecolors="white", s=80)
    right.legend(*dots.legend_elements(), loc="center", title="class").axes.set(title="probability of class 1")
    save(figure)
