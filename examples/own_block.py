"""A block and a layer of your own: written, proved, trained.

The block is "snake", y = x + sin²(a x) / a, an activation with a learnt frequency a for each input, which can go on
with what repeats. Ziyin, Hartwig and Ueda, NeurIPS 2020, equation 3.
"""

# %%
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

import arraynn as nn
from arraynn.testing import check_backward

# %% [markdown]
# A block: a function that returns its value and its backward. Ask the array for its library, and the block runs on all
# of them. Backward has one gradient for each argument, in their order, and writes into none of them.


# %%
def snake(x, a, /):
    """y = x + sin²(a x) / a, elementwise. x : (N, n), a : (n,), not 0. backward(dy, need_dx=True) -> dx, da."""
    xp = array_namespace(x)
    s, c = xp.sin(a * x), xp.cos(a * x)

    def snake_backward(dy, need_dx=True):
        # d sin²(ax)/dx = 2 a sin(ax) cos(ax), so dy/dx = 1 + 2 sin cos.
        # By a: 2 x sin cos / a - sin² / a². All rows share a, so their parts add up.
        dx = dy * (1 + 2 * s * c) if need_dx else None
        return dx, xp.sum(dy * (2 * x * s * c / a - s * s / (a * a)), axis=0)

    return x + s * s / a, snake_backward


rng = np.random.default_rng(0)
some, frequencies = rng.standard_normal((5, 3)), np.asarray([0.5, 1.0, 3.0])
for name in ("numpy", "array_api_strict", "torch"):
    try:
        backend = nn.backend(name)
    except nn.BackendUnavailable:
        continue  # it is not installed
    check_backward(snake, backend.asarray(some), backend.asarray(frequencies))
    print(f"snake on {name}: dx and da are the derivatives of y")
# > snake on numpy: dx and da are the derivatives of y

# %% [markdown]
# What the proof is worth shows on a mistake: the second term of da is forgotten.


# %%
def snake_with_a_term_missing(x, a, /):
    y, backward = snake(x, a)
    s, c = np.sin(a * x), np.cos(a * x)
    return y, lambda dy: (backward(dy)[0], np.sum(dy * (2 * x * s * c / a), axis=0))


try:
    check_backward(snake_with_a_term_missing, some, frequencies)
except AssertionError as error:
    print("caught:", str(error).split(",")[0])
# > caught: snake_with_a_term_missing: da is wrong

# %% [markdown]
# A layer: a frozen dataclass of hyperparameters. `init` draws the parameters, as host arrays; the call takes them.
# `register` lets a saved model name it.


# %%
@nn.register
@dataclass(frozen=True)
class Snake(nn.Layer):
    """The layer of `snake`: parameters {"frequency": (n,)}. frequency : where they start."""

    frequency: float = 1.0

    def init(self, rng, input_shape, dtype="float32"):
        return {"frequency": np.full(input_shape, self.frequency, dtype=dtype)}, tuple(input_shape)

    def __call__(self, params, x, key=None):
        y, snake_backward = snake(x, params["frequency"])

        def layer_backward(dy, need_dx=True):
            dx, da = snake_backward(dy, need_dx)
            return dx, {"frequency": da}

        return y, layer_backward


check_backward(Snake(2.0), some)
check_backward(nn.Sequential(nn.Dense(8), Snake(), nn.Dense(1)), some[:, :2])
print("Snake: proved, alone and in a network")
# > Snake: proved, alone and in a network

# %% [markdown]
# Trained: one and a half periods of a sine, then asked about the next half. ReLU goes on in a straight line.

# %%
x = np.linspace(-1.5, 1.5, 200)[:, None]
beyond = np.linspace(1.5, 2.5, 50)[:, None]
errors = {}
for activation in (Snake(3.0), nn.ReLU()):
    network = nn.Sequential(nn.Dense(32), activation, nn.Dense(1))
    model = nn.Model(network, nn.mean_squared_error, nn.Adam(0.01), backend="numpy", dtype="float64")
    history = model.fit(x, np.sin(np.pi * x), epochs=1000, batch_size=None, verbose=0)
    name = type(activation).__name__
    errors[name] = model.evaluate(beyond, np.sin(np.pi * beyond))["loss"]
    print(f"{name:5}: mean squared error {history['loss'][-1]:.5f} where it was trained, {errors[name]:.3f} beyond")
print("Snake does better beyond:", errors["Snake"] < errors["ReLU"])
# > Snake does better beyond: True
