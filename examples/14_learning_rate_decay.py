"""Lesson 14: learning rate decay, lr = lr0 / (1 + decay · iteration).

Exercise: `examples/exercises/14.py`. Live: `arraynn play --preset 14`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, lesson, report, save

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# Large steps find the valley, small steps its floor. So begin large, and let the rate fall:
#
#     lr = lr0 / (1 + decay · iteration)
#
# iteration counts updates, from 0: the first step is taken at lr0. With decay 1e-3 the rate is halved after 1,000
# updates and is a third after 2,000: it falls fast at first, then ever more slowly.

# %%
schedule = nn.InverseTimeDecay(1.0, decay=1e-3)
for iteration in (0, 100, 1000, 2000, 10000):
    print(f"iteration {iteration:5}: lr {schedule(iteration):.6f}")
print("book's last rate:", schedule(9999))
# > iteration     0: lr 1.000000
# > iteration   100: lr 0.909091
# > iteration  1000: lr 0.500000
# > iteration  2000: lr 0.333333
# > iteration 10000: lr 0.090909
# > book's last rate: 0.09091735612328393

# %% [markdown]
# The book prints an epoch's line before its update, so its epoch 10000 shows the rate of iteration 9999. A schedule
# is a function of the step, and nothing else: wherever a learning rate is asked for, it can be given instead.

# %% [markdown]
# The common mistake: the decayed rate is stored, and decayed again, lr = lr / (1 + decay · iteration). The factors
# multiply up, and the rate is gone long before the training is. The check: print it at a few iterations, as above.

# %%
lr = 1.0
for iteration in range(101):
    lr = lr / (1 + 1e-3 * iteration)
print(f"iteration 100, decayed again and again: {lr:.6f}; from lr0: {schedule(100):.6f}")
# > iteration 100, decayed again and again: 0.007530; from lr0: 0.909091


# %% [markdown]
# The row's run: spiral, 2-64-3, SGD, lr 1, decay 1e-3; beside it no decay, and decay 1e-2, where the rate falls so
# fast that the training gets stuck. The book trains 10,001 epochs, this lesson 2,001; `arraynn book` has the whole
# runs.


# %%
def train(learning_rate, epochs=2001):
    rng = np.random.RandomState(0)  # the book's stream: data first, then weights
    x, labels = nn.datasets.spiral(100, 3, seed=rng)
    small = nn.initializers.normal(0.01)
    network = nn.Sequential(nn.Dense(64, weight_initializer=small), nn.ReLU(), nn.Dense(3, weight_initializer=small))
    optimizer = nn.SGD(learning_rate)
    model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype, seed=rng)
    return model.fit(x, labels, epochs=epochs, batch_size=None, verbose=0)


rates = {"none": 1.0, "1e-3": schedule, "1e-2": nn.InverseTimeDecay(1.0, decay=1e-2)}
histories = {name: train(rate) for name, rate in rates.items()}
for name, history in histories.items():
    print("decay", name)
    report(history, (0, 100, 200))
# > decay none
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.400 loss 1.087
# > epoch  200 accuracy 0.417 loss 1.077
# > decay 1e-3
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.400 loss 1.088
# > epoch  200 accuracy 0.423 loss 1.078
# > decay 1e-2
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.403 loss 1.095
# > epoch  200 accuracy 0.397 loss 1.084

# %% [markdown]
# Later digits depend on rounding, as this training is chaotic. Printed, not stated:

# %%
for name, history in histories.items():
    print("decay", name)
    report(history, (1000, 2000))
if figure := drawing(2):
    left, right = figure.axes
    for k, (name, rate) in enumerate(rates.items()):
        steps = np.arange(0, 2001, 10)
        values = [rate(int(step)) if callable(rate) else rate for step in steps]
        left.plot(steps, values, color=COLOURS[k], label=f"decay {name}")
        right.plot(histories[name]["loss"], color=COLOURS[k], lw=0.9, label=f"decay {name}")
    left.set(title="learning rate", xlabel="iteration", ylim=(0, 1.05))
    right.set(title="loss on the spiral", xlabel="epoch")
    left.legend(frameon=False, fontsize=8)
    save(figure)
