"""Lesson 3: dropout, and the full model: Dense with L2, ReLU, dropout, Dense, cross-entropy, Adam.

Exercise: `examples/exercises/03.py`. Live: `arraynn play --preset 03`.
"""

# %%
import numpy as np
from _lesson import caught, drawing, lesson, report, save, show

import arraynn as nn
from arraynn import plot

backend, dtype, put = lesson()

# %% [markdown]
# Dropout switches off random neurons at each step of training, so that no neuron can rely on one other. With rate q:
# y = x m / (1 - q), where each m is 0 with probability q, else 1. `rate` is the probability of dropping. Survivors
# are scaled up by 1 / (1 - q) in training ("inverted"), so that the mean stays and inference needs no change. The
# mask comes from a counter: the key fixes it, bit for bit, on every backend. No key is inference.

# %%
ones = put(np.ones((4, 6)))
key = nn.Key(0)
y, dropout_backward = nn.dropout(ones, 0.5, key)
show("dropout, rate 0.5", y, digits=1)
show("inference", nn.dropout(ones, 0.5, None)[0], digits=1, rows=1)
many = put(np.ones((1000, 100)))
show("mean over 100,000 ones", backend.xp.mean(nn.dropout(many, 0.1, key)[0]), digits=2)
# > dropout, rate 0.5 (4, 6)
# >   0.0   0.0   0.0   0.0   0.0   0.0
# >   0.0   2.0   2.0   2.0   2.0   0.0
# >   0.0   0.0   2.0   0.0   0.0   2.0
# >   0.0   2.0   0.0   0.0   2.0   2.0
# > inference (4, 6)
# >   1.0   1.0   1.0   1.0   1.0   1.0
# > mean over 100,000 ones = 1.00

# %% [markdown]
# Backward: forward was a product with the mask, so backward is the same product, dx = dy m / (1 - q). The common
# mistake: a new mask is drawn in the backward pass. check_backward finds the two at odds.


# %%
def dropout_with_two_masks(x):
    y, _ = nn.dropout(x, 0.5, key)
    return y, lambda dy: nn.dropout(dy, 0.5, nn.Key(1))[0]


caught(dropout_with_two_masks, put([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]))
# > dropout_with_two_masks: dx is wrong, at 4 of 8 elements, most at [1, 0]: expected 0, got -2.627 (x[1, 0] = 5)
# >   each element is right or zero: is a mask made from the wrong array?

# %% [markdown]
# The full model on the spiral. The book trains it 10,001 epochs on 1000 points a class; here it is 1,001 epochs on 100
# points a class. `arraynn book` has the whole runs, `arraynn train spiral` a larger network. loss = data_loss +
# penalty. Dropout is on in training only, so the validation figures are those of the whole network.

# %%
rng = np.random.RandomState(0)
x, labels = nn.datasets.spiral(100, 3, seed=rng)
small, penalty = nn.initializers.normal(0.01), nn.L2(5e-4)
network = nn.Sequential(
    nn.Dense(64, weight_initializer=small, weight_regularizer=penalty, bias_regularizer=penalty),
    nn.ReLU(),
    nn.Dropout(0.1),
    nn.Dense(3, weight_initializer=small),
)
optimizer = nn.Adam(learning_rate=nn.InverseTimeDecay(0.05, decay=5e-5), epsilon=1e-7)
model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype, seed=rng)
fresh = nn.datasets.spiral(100, 3, seed=1)
history = model.fit(x, labels, epochs=1001, batch_size=None, validation_data=fresh, validation_freq=100, verbose=0)
report(history, (0, 10, 20), ("accuracy", "loss", "data_loss", "penalty"))
# > epoch    0 accuracy 0.367 loss 1.099 data_loss 1.099 penalty 0.000
# > epoch   10 accuracy 0.433 loss 1.074 data_loss 1.072 penalty 0.003
# > epoch   20 accuracy 0.483 loss 1.045 data_loss 1.040 penalty 0.005

# %% [markdown]
# From here on digits depend on rounding: the training is chaotic, and after some hundred steps two machines differ.
# So the next lines are printed, not stated.

# %%
report(history, (99, 499, 999), ("accuracy", "loss", "val_accuracy", "val_loss"))
if drawing():
    save(plot.boundary(model, x, labels, resolution=120), dpi=80)
