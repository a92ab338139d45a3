"""Lesson 12: RMSProp, Adagrad that forgets.

Exercise: `examples/exercises/12.py`. Live: `arraynn play --preset 12`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, lesson, report, save

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# Adagrad's cache (lesson 9) only grows, so its steps only shrink. RMSProp takes a moving average in place of the sum:
#
#     cache = ρ cache + (1 - ρ) g²
#     w     = w - lr · g / (√cache + ε)
#
# ρ = 0.9 remembers some ten steps, ρ = 0.999 some thousand. cache has the shape of w, and starts at 0.

# %% [markdown]
# Worked by hand: a constant gradient g. After t steps cache = (1 - ρ^t) g², so step t has the length lr / √(1 - ρ^t).
# With ρ = 0.999 the first step is lr / √0.001 = 31.62 lr, the second 22.37 lr: the cache is still nearly empty, and
# nothing corrects this. (Adam's bias correction, lesson 10, does.) So a small lr is not as small as it looks.

# %%
optimizer = nn.RMSProp(learning_rate=0.02, rho=0.999)
params = {"w": put([0.0])}
state = optimizer.init(params)
for step in range(3):
    before = float(params["w"][0])
    params, state = optimizer.update(params, {"w": put([5.0])}, state)
    length = before - float(params["w"][0])
    print(f"step {step + 1}: length {length:.4f} = {length / 0.02:.2f} lr")
# > step 1: length 0.6325 = 31.62 lr
# > step 2: length 0.4473 = 22.37 lr
# > step 3: length 0.3653 = 18.27 lr


# %% [markdown]
# The row's run: spiral, 2-64-3, lr 0.02, decay 1e-5, ρ 0.999. The book trains 10,001 epochs, this lesson 1,001;
# `arraynn book` has the whole run.


# %%
def train(optimizer, epochs=1001):
    rng = np.random.RandomState(0)  # the book's stream: data first, then weights
    x, labels = nn.datasets.spiral(100, 3, seed=rng)
    small = nn.initializers.normal(0.01)
    network = nn.Sequential(nn.Dense(64, weight_initializer=small), nn.ReLU(), nn.Dense(3, weight_initializer=small))
    model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype, seed=rng)
    return model.fit(x, labels, epochs=epochs, batch_size=None, verbose=0)


history = train(nn.RMSProp(nn.InverseTimeDecay(0.02, decay=1e-5), rho=0.999))
report(history, (0, 100, 200))
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.450 loss 1.016
# > epoch  200 accuracy 0.510 loss 0.951

# %% [markdown]
# The common mistake: a default learning rate of 1.0, carried over from SGD. SGD multiplies it by a gradient, which is
# small; here g / √cache is near 1, and at first 31.6. All weights are thrown to about ±31.6 at once. The check is to
# look at the loss of the first epochs: an untrained net has log 3 = 1.0986, and it must not jump up.

# %%
far = train(nn.RMSProp(learning_rate=1.0, rho=0.999), epochs=101)
print(f"lr 0.02: loss after one step {history['loss'][1]:.2f}; lr 1.0: above 1000: {far['loss'][1] > 1000}")
print("RMSProp's default in arraynn:", nn.RMSProp().learning_rate)
# > lr 0.02: loss after one step 2.82; lr 1.0: above 1000: True
# > RMSProp's default in arraynn: 0.001

# %% [markdown]
# The other thing to choose is ρ. A short memory (0.9) makes many small jumps, a long one (0.999) a few large ones: look
# at the picture. Later digits depend on rounding, as this training is chaotic. Printed, not stated:

# %%
short = train(nn.RMSProp(nn.InverseTimeDecay(0.02, decay=1e-5), rho=0.9))
report(history, (500, 1000))
if figure := drawing():
    axes = figure.axes[0]
    axes.plot(short["loss"], color=COLOURS[1], lw=0.7, label="ρ 0.9")
    axes.plot(history["loss"], color=COLOURS[0], label="ρ 0.999")
    axes.set(title="RMSProp, lr 0.02: loss on the spiral", xlabel="epoch", ylim=(0, 1.6))
    axes.legend(frameon=False, fontsize=8)
    save(figure)
