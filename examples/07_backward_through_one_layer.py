"""Lesson 7: the chain rule by hand through one layer, and a hundred steps downhill.

Exercise: `examples/exercises/07.py`. Live: `arraynn play --preset 07`.
"""

# %%
from _lesson import COLOURS, caught, drawing, lesson, save, show

import arraynn as nn

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# One row of four inputs, three neurons, ReLU. The "loss" is made up: L = S², where S is the sum of the three outputs.
# It is smallest, 0, when all outputs are 0. The weights are written a neuron a row and transposed: w is (4, 3).

# %%
x = put([[1.0, 2.0, 3.0, 4.0]])
w = put([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8], [0.9, 1.0, 1.1, 1.2]]).T
b = put([0.1, 0.2, 0.3])


# %% [markdown]
# Forward is a chain of four functions: z = x w + b, a = relu(z), S = Σ a, L = S². The chain rule: the slope of a
# chain is the product of the slopes of its links, from the last to the first.
#
#     dS = dL/dS = 2 S
#     da = dS · dS/da = 2 S · 1                  the same for each of the three
#     dz = da · [z > 0]                          ReLU passes where z > 0
#     dw = xᵀ dz,  db = dz,  dx = dz wᵀ          as in lesson 4


# %%
def squared_sum(a):
    s = xp.sum(a)
    # forward was L = S², so dL/dS = 2 S; and S = Σ a, so dS/da = 1 for each a
    return s * s, lambda dloss=1.0: xp.zeros_like(a) + 2 * s * dloss


def forward_backward(x, w, b):
    z, dense_backward = nn.dense(x, w, b)
    a, relu_backward = nn.relu(z)
    loss, loss_backward = squared_sum(a)
    return z, loss, dense_backward(relu_backward(loss_backward()))


z, loss, (dx, dw, db) = forward_backward(x, w, b)
show("z", z, digits=1)
show("loss", loss, digits=2)
show("dw", dw, digits=1)
# > z (1, 3)
# >   3.1   7.2  11.3
# > loss = 466.56
# > dw (4, 3)
# >  43.2  43.2  43.2
# >  86.4  86.4  86.4
# > 129.6 129.6 129.6
# > 172.8 172.8 172.8

# %% [markdown]
# By hand: S = 3.1 + 7.2 + 11.3 = 21.6, L = 466.56, dS = 43.2. All z > 0, so dz = db = (43.2, 43.2, 43.2), and row k
# of dw is x[k] times 43.2. A hundred steps w = w - lr dw, b = b - lr db with lr = 0.001. Backward is done again at
# each step: the gradient belongs to the place where it was taken.

# %%
losses = []
for _ in range(100):
    _, loss, (_, dw, db) = forward_backward(x, w, b)
    w, b = w - 0.001 * dw, b - 0.001 * db
    losses.append(float(loss))
for step in range(0, 100, 20):
    print(f"step {step:2}: loss {losses[step]:.6f}")
# > step  0: loss 466.560000
# > step 20: loss 5.329596
# > step 40: loss 0.411915
# > step 60: loss 0.031836
# > step 80: loss 0.002461


# %% [markdown]
# The neurons reach 0 one after another and are switched off. From step 20 on one is left, and a step takes lr · 2 S ·
# (1 + 4 + 9 + 16 + 1) = 0.062 S off S. So S shrinks by 0.938 a step, and L by 0.938⁴⁰ = 0.0773 in 20 steps. The
# common mistake: the inner slope is forgotten, here the 2 S. Each link of the chain must be there.


# %%
def squared_sum_without_2s(a):
    s = xp.sum(a)
    return s * s, lambda dloss=1.0: xp.zeros_like(a) + dloss


caught(squared_sum_without_2s, put([[0.5, -1.0, 2.0]]))
# > squared_sum_without_2s: da is wrong, at 3 of 3 elements, most at [0, 1]: expected 3.411, got 1.137 (a[0, 1] =
# >     -1)
# >   it is off by a constant factor 0.3333

# %%
if figure := drawing():
    figure.axes[0].semilogy(losses, color=COLOURS[0])
    figure.axes[0].set(title="L = (Σ relu(x w + b))²", xlabel="step")
    save(figure)
