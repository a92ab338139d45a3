"""Lesson 11: gradient descent with momentum, v = μ v - lr g, w = w + v.

Exercise: `examples/exercises/11.py`. Live: `arraynn play --preset 11`.
"""

# %%
import numpy as np
from _lesson import COLOURS, drawing, lesson, save

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# A ball rolling downhill does not stop where the ground is flat for a moment. Momentum keeps a part μ of the last
# step:
#
#     v = μ v - lr · g
#     w = w + v
#
# v has the shape of w, and starts at 0. The minus is inside v. (PyTorch keeps lr outside: the same while lr stays.)
#
# Worked by hand: a constant gradient of 1, lr 0.1, μ 0.5. The steps are 0.1, 0.15, 0.175, … and tend to lr / (1 - μ)
# = 0.2: momentum 0.5 doubles the pace, 0.9 makes it tenfold.

# %%
optimizer = nn.SGD(learning_rate=0.1, momentum=0.5)
params = {"w": put([0.0])}
state = optimizer.init(params)
for _ in range(3):
    params, state = optimizer.update(params, {"w": put([1.0])}, state)
    print(f"v {float(state['slots']['w']['v'][0]):.4f}, w {float(params['w'][0]):.4f}")
# > v -0.1000, w -0.1000
# > v -0.1500, w -0.2500
# > v -0.1750, w -0.4250

# %% [markdown]
# In a narrow valley plain descent jumps from side to side; momentum averages the jumps away and keeps the way along.
# f = (w0² + 25 w1²) / 2, so the gradient is (w0, 25 w1). From (-2, 0.4), lr 0.07, 25 steps:


# %%
def path(optimizer, steps=25):
    params, places = {"w": put([-2.0, 0.4])}, [(-2.0, 0.4)]
    state = optimizer.init(params)
    for _ in range(steps):
        params, state = optimizer.update(params, {"w": params["w"] * put([1.0, 25.0])}, state)
        places.append(tuple(float(v) for v in params["w"]))
    return places


plain, rolling = path(nn.SGD(0.07)), path(nn.SGD(0.07, momentum=0.5))
for name, (a, b) in (("plain", plain[-1]), ("momentum 0.5", rolling[-1])):
    print(f"{name}: f = {(a * a + 25 * b * b) / 2:.4f}")
# > plain: f = 0.0531
# > momentum 0.5: f = 0.0002

# %% [markdown]
# The common mistake: two minus signs, v = μ v - lr g and then w = w - v. That climbs. The check is one step by hand:
# on w²/2, from w = 1 with lr 0.1, the next w must lie nearer to 0.

# %%
v = 0.5 * 0.0 - 0.1 * 1.0
print(f"w + v = {1 + v:.1f}, w - v = {1 - v:.1f}")
# > w + v = 0.9, w - v = 1.1


# %% [markdown]
# The row's run: spiral, 2-64-3, lr 1, decay 1e-3, μ 0.5; beside it μ 0 and 0.9. The book trains 10,001 epochs, this
# lesson 1,001; `arraynn book` has the whole runs. Printed: the losses at epochs 0, 100 and 200.


# %%
def train(momentum, epochs=1001):
    rng = np.random.RandomState(0)  # the book's stream: data first, then weights
    x, labels = nn.datasets.spiral(100, 3, seed=rng)
    small = nn.initializers.normal(0.01)
    network = nn.Sequential(nn.Dense(64, weight_initializer=small), nn.ReLU(), nn.Dense(3, weight_initializer=small))
    optimizer = nn.SGD(nn.InverseTimeDecay(1.0, decay=1e-3), momentum=momentum)
    model = nn.Model(network, optimizer=optimizer, backend=backend, dtype=dtype, seed=rng)
    return model.fit(x, labels, epochs=epochs, batch_size=None, verbose=0)


histories = {momentum: train(momentum) for momentum in (0.0, 0.5, 0.9)}
for momentum, history in histories.items():
    print(f"momentum {momentum}: loss", *(f"{history['loss'][epoch]:.3f}" for epoch in (0, 100, 200)))
# > momentum 0.0: loss 1.099 1.088 1.078
# > momentum 0.5: loss 1.099 1.078 1.075
# > momentum 0.9: loss 1.099 1.053 0.992

# %%
if figure := drawing(2):
    left, right = figure.axes
    for k, (momentum, places) in enumerate(((0.0, plain), (0.5, rolling))):
        left.plot(*zip(*places, strict=True), "o-", ms=3, lw=1, color=COLOURS[k], label=f"momentum {momentum}")
    left.set(title="a narrow valley", xlabel="w0", ylabel="w1", xticks=(-2, -1, 0), yticks=(-0.2, 0, 0.2, 0.4))
    left.legend(frameon=False, fontsize=8)
    for k, (momentum, history) in enumerate(histories.items()):
        right.plot(history["loss"], color=COLOURS[k], label=f"momentum {momentum}")
    right.set(title="loss on the spiral", xlabel="epoch")
    right.legend(frameon=False, fontsize=8)
    save(figure)
