"""Lesson 10: Adam, with bias correction.

Exercise: `examples/exercises/10.py`. Live: `arraynn play --preset 10`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, lesson, report, save

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# Adam joins momentum (lesson 11) and RMSProp (lesson 12): a moving average m of the gradients, and one, v, of their
# squares.
#
#     m = β1 m + (1 - β1) g          m̂ = m / (1 - β1^t)
#     v = β2 v + (1 - β2) g²         v̂ = v / (1 - β2^t)          w = w - lr · m̂ / (√v̂ + ε)
#
# m and v start at 0, so the first averages are too small: after one step m is 0.1 g, and v is 0.001 g². The hats
# correct this: at t = 1 they divide by 0.1 and 0.001, and m̂ = g, v̂ = g². t counts from 1; the book's iteration from
# 0.

# %% [markdown]
# Worked by hand: with a constant gradient m̂ = g and v̂ = g² at each t, so every step is lr · g / |g|: it has the
# length of the learning rate, whatever the gradient's size. A learning rate of Adam is a length.

# %%
optimizer = nn.Adam(learning_rate=0.02)
params = {"w": put([0.0, 0.0])}
state = optimizer.init(params)
for _ in range(3):
    params, state = optimizer.update(params, {"w": put([100.0, 0.01])}, state)
    print("w", *(f"{float(v):.4f}" for v in params["w"]))
# > w -0.0200 -0.0200
# > w -0.0400 -0.0400
# > w -0.0600 -0.0600

# %% [markdown]
# The first mistake: no bias correction. Then the first step is lr · 0.1 g / √(0.001 g²) = 3.16 lr, and the next are
# larger.

# %%
m = v = w = 0.0
for _ in range(3):
    m, v = 0.9 * m + 0.1 * 100.0, 0.999 * v + 0.001 * 100.0**2
    w -= 0.02 * m / (v**0.5 + 1e-8)
    print(f"without correction: w {w:.4f}")
# > without correction: w -0.0632
# > without correction: w -0.1482
# > without correction: w -0.2472


# %% [markdown]
# The row's run: spiral, 2-64-3, lr 0.02, decay 1e-5. The book trains 10,001 epochs, this lesson 1,001; `arraynn book`
# has the whole run. ε is the book's 1e-7; the paper's, and arraynn's own, is 1e-8.


# %%
def train(optimizer, epochs=1001):
    rng = np.random.RandomState(0)  # the book's stream: data first, then weights
    x, labels = nn.datasets.spiral(100, 3, seed=rng)
    small = nn.initializers.normal(0.01)
    network = nn.Sequential(nn.Dense(64, weight_initializer=small), nn.ReLU(), nn.Dense(3, weight_initializer=small))
    model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype, seed=rng)
    return model.fit(x, labels, epochs=epochs, batch_size=None, verbose=0)


history = train(nn.Adam(nn.InverseTimeDecay(0.02, decay=1e-5), epsilon=1e-7))
report(history, (0, 100, 200))
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.683 loss 0.769
# > epoch  200 accuracy 0.797 loss 0.553

# %% [markdown]
# The second mistake: a default learning rate of 1.0, carried over from SGD. A step of length 1 in every weight, where
# weights are some tenths, is noise. The check is to print the loss of the first epochs: it must not jump up.

# %%
far = train(nn.Adam(learning_rate=1.0), epochs=101)
report(far, (0, 1, 2))
print("Adam's default in arraynn:", nn.Adam().learning_rate)
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch    1 accuracy 0.347 loss 7.361
# > epoch    2 accuracy 0.323 loss 32.738
# > Adam's default in arraynn: 0.001

# %% [markdown]
# Later digits depend on rounding, as this training is chaotic. Printed, not stated:

# %%
report(history, (500, 1000))
if figure := drawing():
    axes = figure.axes[0]
    axes.plot(far["loss"], color=COLOURS[4], label="lr 1.0, 101 epochs")
    axes.plot(history["loss"], color=COLOURS[0], label="lr 0.02, decay 1e-5")
    axes.set(title="Adam: loss on the spiral", xlabel="epoch", yscale="log")
    axes.legend(frameon=False, fontsize=8)
    save(figure)
