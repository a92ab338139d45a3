"""Lesson 15: L1 and L2 penalties on weights and biases.

Exercise: `examples/exercises/15.py`. Live: `arraynn play --preset 15`.
"""

# %%
import numpy as np
from _lesson import COLOURS, caught, drawing, host, lesson, report, save, show

import arraynn as nn
from arraynn.testing import check_backward

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# A network with large weights can bend around every single point, and learns noise. A penalty on the weights is added
# to the loss, once a step, and not divided by the number of rows:
#
#     L1: λ Σ |w|    slope λ sign(w)    pulls all weights alike: drives many to exactly 0
#     L2: λ Σ w²     slope 2 λ w        pulls large weights more: keeps all small
#
# λ Σ w² is the book's; many papers halve it. At w = 0, L1 has a kink; arraynn takes slope 0, the book's code +1.

# %%
w = put([[-2.0, 0.5], [1.0, -0.1]])
for name, penalty in (("L1", nn.L1(0.01)), ("L2", nn.L2(0.01))):
    value, backward = penalty(w)
    show(name, value)
    show(f"{name} gradient", backward())
    check_backward(penalty, w)
# > L1 = 0.0360
# > L1 gradient (2, 2)
# >  -0.0100   0.0100
# >   0.0100  -0.0100
# > L2 = 0.0526
# > L2 gradient (2, 2)
# >  -0.0400   0.0100
# >   0.0200  -0.0020


# %% [markdown]
# The common mistake: the value is one function's, the gradient another's. Here "L2" adds λ Σ |w|, and its gradient is
# 2 λ w. The training even works, since only the gradient moves weights. But the loss printed is not the one that
# falls. No shape and no crash shows it. check_backward does: it compares the gradient with differences of the value.
# At w = 0.5 the slopes of λ |w| and λ w² are equal, so there it is right by chance.


# %%
def l2_with_the_value_of_l1(w):
    return 0.01 * xp.sum(xp.abs(w)), lambda dpenalty=1.0: w * (2 * 0.01 * dpenalty)


caught(l2_with_the_value_of_l1, w)
# > l2_with_the_value_of_l1: dw is wrong, at 3 of 4 elements, most at [0, 0]: expected -0.01137, got -0.04548
# >     (w[0, 0] = -2)


# %% [markdown]
# The row's run: spiral, 2-64-3, Adam lr 0.02, decay 5e-7, L2 of 5e-4 on weights and biases of the first layer; beside
# it the same without. Validation on fresh points. The book trains 10,001 epochs, this lesson 3,001; `arraynn book`
# has the whole run.


# %%
def train(penalty, epochs=3001):
    rng = np.random.RandomState(0)  # the book's stream: data, then weights, then validation data
    x, labels = nn.datasets.spiral(100, 3, seed=rng)
    small = nn.initializers.normal(0.01)
    hidden = nn.Dense(64, weight_initializer=small, weight_regularizer=penalty, bias_regularizer=penalty)
    network = nn.Sequential(hidden, nn.ReLU(), nn.Dense(3, weight_initializer=small))
    optimizer = nn.Adam(nn.InverseTimeDecay(0.02, decay=5e-7), epsilon=1e-7)
    model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype, seed=rng)
    history = model.fit(x, labels, epochs=epochs, batch_size=None, verbose=0)
    return model, history, model.evaluate(*nn.datasets.spiral(100, 3, seed=rng))


runs = {"no penalty": train(None), "L2 5e-4": train(nn.L2(5e-4))}
report(runs["L2 5e-4"][1], (0, 50, 100), ("accuracy", "loss", "data_loss", "penalty"))
# > epoch    0 accuracy 0.360 loss 1.099 data_loss 1.099 penalty 0.000
# > epoch   50 accuracy 0.560 loss 0.996 data_loss 0.985 penalty 0.011
# > epoch  100 accuracy 0.683 loss 0.838 data_loss 0.798 penalty 0.040

# %% [markdown]
# What the penalty buys: smaller weights, a larger loss on the training points, and a smaller one on fresh points.
# After 1,000 epochs there is no gain yet; the longer the training, the larger it grows. These digits depend on
# rounding, as the training is chaotic. Printed, not stated:

# %%
figure = drawing()
for k, (name, (model, history, validation)) in enumerate(runs.items()):
    weights = host(model.params[0]["weight"]).ravel()
    largest, data_loss = np.max(np.abs(weights)), history["data_loss"][-1]
    print(f"{name}: data loss {data_loss:.3f}, validation loss {validation['loss']:.3f}, largest weight {largest:.2f}")
    if figure:
        figure.axes[0].hist(weights, np.linspace(-8, 8, 60), color=COLOURS[1 - k], alpha=0.7, label=name)
if figure:
    axes = figure.axes[0]
    axes.set(title="first layer's weights", xlabel="w")
    axes.legend(frameon=False, fontsize=8)
    save(figure)
