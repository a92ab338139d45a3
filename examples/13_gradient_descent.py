"""Lesson 13: gradient descent, w = w - lr g.

Exercise: `examples/exercises/13.py`. Live: `arraynn play --preset 13`.
"""

# %%
import numpy as np
from _lesson import COLOURS, caught, drawing, lesson, report, save

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# The gradient points uphill: it says how the loss changes if a weight grows. So go the other way, by a step lr · g:
#
#     w = w - lr · g
#
# "Stochastic" (SGD) when the gradient is that of a random part of the data; here it is that of all.
#
# Worked by hand: f = w², g = 2 w, so w becomes (1 - 2 lr) w at each step. From w = 1: lr 0.1 shrinks it by 0.8 a
# step; lr 0.5 is there in one; lr 0.9 jumps from side to side; lr 1.1 grows without end. `update` uses up what it is
# given: go on with what it returns. That saves a copy at each step.


# %%
def descend(learning_rate, steps=10):
    optimizer = nn.SGD(learning_rate)
    params, places = {"w": put([1.0])}, [1.0]
    state = optimizer.init(params)
    for _ in range(steps):
        params, state = optimizer.update(params, {"w": 2 * params["w"]}, state)
        places.append(float(params["w"][0]))
    return places


paths = {rate: descend(rate) for rate in (0.1, 0.5, 0.9, 1.1)}
for rate, places in paths.items():
    print(f"lr {rate}:", *(f"{place:.3f}" for place in places[:5]))
# > lr 0.1: 1.000 0.800 0.640 0.512 0.410
# > lr 0.5: 1.000 0.000 0.000 0.000 0.000
# > lr 0.9: 1.000 -0.800 0.640 -0.512 0.410
# > lr 1.1: 1.000 -1.200 1.440 -1.728 2.074

# %% [markdown]
# The common mistake is a sign. Mean absolute error is mean |ŷ - y|; where ŷ is too large, a larger ŷ is worse, so the
# slope is + sign(ŷ - y). The book's code has sign(y - ŷ), and descent with it climbs: the error grows at each step.


# %%
def mean_absolute_error_of_the_book(outputs, targets):
    loss, _ = nn.mean_absolute_error(outputs, targets)
    return loss, lambda dloss=1.0: backend.xp.sign(targets - outputs) * (dloss / targets.shape[0])


targets = put([1.0, 2.0, 3.0])
for block in (nn.mean_absolute_error, mean_absolute_error_of_the_book):
    outputs = put([1.5, 1.0, 3.2])
    before = float(block(outputs, targets)[0])
    outputs = outputs - 0.3 * block(outputs, targets)[1]()
    print(f"{block.__name__}: {before:.4f} -> {float(block(outputs, targets)[0]):.4f}")
caught(mean_absolute_error_of_the_book, put([1.5, 1.0, 3.2]), targets)
# > mean_absolute_error: 0.5667 -> 0.4667
# > mean_absolute_error_of_the_book: 0.5667 -> 0.6667
# > mean_absolute_error_of_the_book: doutputs is wrong, at 3 of 3 elements, most at [1]: expected -0.379, got
# >     0.379 (outputs[1] = 1)
# >   it has the opposite sign


# %% [markdown]
# The row's run: spiral, 2-64-3, lr 1, the whole set at each step. The book trains 10,001 epochs, this lesson 1,001;
# `arraynn book` has the whole run. Epoch 0 is what all these runs print first: accuracy 0.360 and loss log 3.


# %%
def train(optimizer, epochs=1001):
    rng = np.random.RandomState(0)  # the book's stream: data first, then weights
    x, labels = nn.datasets.spiral(100, 3, seed=rng)
    small = nn.initializers.normal(0.01)
    network = nn.Sequential(nn.Dense(64, weight_initializer=small), nn.ReLU(), nn.Dense(3, weight_initializer=small))
    model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype, seed=rng)
    return model.fit(x, labels, epochs=epochs, batch_size=None, verbose=0)


history = train(nn.SGD(learning_rate=1.0))
report(history, (0, 100, 200))
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.400 loss 1.087
# > epoch  200 accuracy 0.417 loss 1.077

# %%
if figure := drawing(2):
    left, right = figure.axes
    a = np.linspace(-1.6, 1.6, 101)
    left.plot(a, a * a, color="#bbbbbb")
    for k, (rate, places) in enumerate(paths.items()):
        left.plot(places[:5], [p * p for p in places[:5]], "o-", ms=3, lw=0.8, color=COLOURS[k], label=f"lr {rate}")
    left.set(title="f = w², four steps", xlabel="w", ylim=(-0.1, 2.5))
    left.legend(frameon=False, fontsize=8)
    right.plot(history["loss"], color=COLOURS[0])
    right.set(title="loss on the spiral, lr 1", xlabel="epoch")
    save(figure)
