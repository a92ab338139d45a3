"""Lesson 9: Adagrad, a learning rate for each weight that falls as its gradients add up.

Exercise: `examples/exercises/09.py`. Live: `arraynn play --preset 09`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, lesson, report, save

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# Plain descent moves each weight by lr · g. A weight that is rarely used gets small gradients, and hardly moves.
# Adagrad remembers for each weight the sum of its squared gradients, and divides by the root of it:
#
#     cache = cache + g²
#     w     = w - lr · g / (√cache + ε)
#
# cache has the shape of w, and starts at 0. ε = 1e-7 only keeps 0 / 0 away.

# %% [markdown]
# Worked by hand: the gradient is constant, lr = 1. After t steps cache = t g², so step t has the length lr · g / (√t
# · g) = lr / √t: 1, 0.7071, 0.5774, 0.5. The size of g has dropped out: 2 and 0.002 move alike.

# %%
optimizer = nn.Adagrad(learning_rate=1.0)
params = {"w": put([0.0, 0.0])}
state = optimizer.init(params)
for step in range(4):
    before = [float(v) for v in params["w"]]
    params, state = optimizer.update(params, {"w": put([2.0, 0.002])}, state)
    lengths = [b - float(v) for b, v in zip(before, params["w"], strict=True)]
    print(f"step {step + 1}: lengths", *(f"{length:.3f}" for length in lengths))
# > step 1: lengths 1.000 1.000
# > step 2: lengths 0.707 0.707
# > step 3: lengths 0.577 0.577
# > step 4: lengths 0.500 0.500

# %% [markdown]
# The common mistake: the cache is set, cache = g², not added to. Then each step is lr · g / |g| = ± lr for ever: the
# rate never falls, and near the minimum the weights jump to and fro. A check by hand as above finds it at the second
# step. (check_backward looks at gradients. An optimizer has none; its check is three steps on paper.)

# %%
w, cache = 0.0, 0.0
for g in (2.0, 2.0, 2.0):
    cache = g**2  # the mistake: = in place of +=
    w -= 1.0 * g / (cache**0.5 + 1e-7)
print(f"three steps of 2: {-float(w):.4f}; they should add up to {1 + 2**-0.5 + 3**-0.5:.4f}")
# > three steps of 2: 3.0000; they should add up to 2.2845

# %% [markdown]
# The row's run: spiral of 100 points a class, 2-64-3, lr 1, decay 1e-4, the whole set at each step. The book trains
# 10,001 epochs, this lesson 1,001; `arraynn book` has the whole run. The book's random stream: data, then weights.


# %%
def train(optimizer, epochs=1001):
    rng = np.random.RandomState(0)
    x, labels = nn.datasets.spiral(100, 3, seed=rng)
    small = nn.initializers.normal(0.01)
    network = nn.Sequential(nn.Dense(64, weight_initializer=small), nn.ReLU(), nn.Dense(3, weight_initializer=small))
    model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype, seed=rng)
    return model.fit(x, labels, epochs=epochs, batch_size=None, verbose=0)


history = train(nn.Adagrad(nn.InverseTimeDecay(1.0, decay=1e-4)))
report(history, (0, 100, 200))
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.457 loss 1.012
# > epoch  200 accuracy 0.533 loss 0.935

# %% [markdown]
# Later digits depend on rounding, as this training is chaotic. Printed, not stated:

# %%
report(history, (500, 1000))
if figure := drawing():
    axes = figure.axes[0]
    axes.plot(train(nn.SGD(1.0))["loss"], color=COLOURS[1], label="SGD, lr 1")
    axes.plot(history["loss"], color=COLOURS[0], label="Adagrad, lr 1, decay 1e-4")
    axes.set(title="loss on the spiral", xlabel="epoch", ylim=(0, 1.2))
    axes.legend(frameon=False, fontsize=8)
    save(figure)
