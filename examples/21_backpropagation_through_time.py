"""Lesson 21: backpropagation through time by hand, and an LSTM that forecasts a series.

Exercise: `examples/exercises/21.py`.
"""

# %%
import numpy as np
from _lesson import COLOURS, caught, drawing, host, lesson, save

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# A recurrent network keeps a state h, and computes the next one from it and from what comes in:
#
#     h_t = tanh(x_t w + h_{t-1} u + b),  h_0 = 0
#
# The same w, u and b at every step. With one number each, w = 1, u = 0.5, b = 0, and three steps:

# %%
x, w, u, b = [1.0, 0.0, -1.0], 1.0, 0.5, 0.0
h = [0.0]
for x_t in x:
    h.append(np.tanh(x_t * w + h[-1] * u + b))
print("states:", *(f"{state:.4f}" for state in h[1:]))
# > states: 0.7616 0.3634 -0.6741

# %% [markdown]
# Backward, the last step first. h_t has two readers: the loss, and the next step. So
#
#     da_t = (dh_t + da_{t+1} u) (1 - h_t²)
#     dx_t = da_t w,  dw = Σ x_t da_t,  du = Σ h_{t-1} da_t,  db = Σ da_t
#
# The sums stand there because all steps share w, u and b. The loss here is the last state: dh = (0, 0, 1).

# %%
da, after = [0.0] * 3, 0.0
for t in (2, 1, 0):
    da[t] = ((1.0 if t == 2 else 0.0) + after * u) * (1 - h[t + 1] ** 2)
    after = da[t]
dw, du, db = (sum(a * d for a, d in zip(part, da, strict=True)) for part in (x, h[:3], (1, 1, 1)))
print("da:", *(f"{d:.4f}" for d in da))
print(f"dw {dw:.4f}, du {du:.4f}, db {db:.4f}")
states, backward = nn.rnn(put([[[1.0], [0.0], [-1.0]]]), put([[w]]), put([[u]]), put([b]))
dx, *grads = backward(put([[[0.0], [0.0], [1.0]]]))
print("rnn gives the same:", np.allclose([host(g).item() for g in grads], [dw, du, db]))
# > da: 0.0497 0.2367 0.5455
# > dw -0.4958, du 0.3785, db 0.8320
# > rnn gives the same: True

# %% [markdown]
# Each step back multiplies by u (1 - h²), here less than a half. After some ten steps nothing is left: gradients
# vanish, and what happened long ago cannot be learnt. An LSTM keeps a second state c = f c + i g. Going back, it is
# multiplied by f alone, and f may be close to 1. arraynn starts with f = σ(1) = 0.73 where x and h are 0.

# %%
steps, zeros = 30, np.zeros((1, 30, 1))
last = np.zeros((1, steps, 1))
last[0, -1] = 1.0


def reaches_back(block, weights):
    """How much of the last state's gradient is left at each step, relative to the last."""
    _, backward = block(put(zeros), *weights)
    dx = np.abs(host(backward(put(last))[0])).ravel()
    return dx / dx[-1]


plain = reaches_back(nn.rnn, [put([[1.0]]), put([[0.5]]), put([0.0])])
gates = put([[0.0, 0.0, 1.0, 0.0]])
kept = reaches_back(nn.lstm, [gates, put([[0.0] * 4]), put([0.0, 4.0, 0.0, 0.0])])
print(f"left after {steps - 1} steps: RNN with u = 0.5 {plain[0]:.1e}, LSTM with f = σ(4) {kept[0]:.2f}")
# > left after 29 steps: RNN with u = 0.5 1.9e-09, LSTM with f = σ(4) 0.59

# %% [markdown]
# The common mistake: each step's gradient is taken from the loss alone, and what the next step sends back is left out.


# %%
def forgetful(x):
    own = nn.put([put([[w]]), put([[u]]), put([b])], like=x)
    states, _ = nn.rnn(x, *own)

    def forgetful_backward(dh):
        return dh * (1 - states * states) * w  # without da_{t+1} u

    return states, forgetful_backward


caught(forgetful, put([[[1.0], [0.0], [-1.0]]]))

# %% [markdown]
# A forecast: two waves of different length and some noise, 30 numbers in, the next one out. The last hundred are never
# trained on. A forecast must beat the simplest one: tomorrow is as today.

# %%
t, rng = np.arange(700), np.random.default_rng(0)
series = np.sin(0.3 * t) + 0.5 * np.sin(0.11 * t) + 0.05 * rng.standard_normal(700)
rows = np.lib.stride_tricks.sliding_window_view(series, 31).astype("float32")
seen, unseen = rows[:-100], rows[-100:]
network = nn.Sequential(nn.LSTM(16), nn.Dense(1))
model = nn.Model(network, "mse", nn.Adam(0.01), backend=backend, dtype="float32", seed=0)
model.fit(seen[:, :-1, None], seen[:, -1:], epochs=8, batch_size=30, verbose=0)
forecast = model.evaluate(unseen[:, :-1, None], unseen[:, -1:])["loss"]
naive = float(np.mean((unseen[:, -1] - unseen[:, -2]) ** 2))
print(f"mean squared error: tomorrow as today {naive:.4f}, LSTM {forecast:.4f}")
print("a quarter, or less:", forecast < naive / 4)
# > a quarter, or less: True

# %%
if figure := drawing(2):
    left, right = figure.axes
    for k, (name, share) in enumerate((("RNN, u = 0.5", plain), ("LSTM, f = σ(4)", kept))):
        left.semilogy(np.arange(steps)[::-1], share, color=COLOURS[k], label=name)
    left.set(title="gradient that is left", xlabel="steps back")
    right.plot(unseen[:, -1], color=COLOURS[0], label="what came")
    right.plot(model.predict(unseen[:, :-1, None]), color=COLOURS[4], lw=1, ls="--", label="forecast")
    right.set(title="a hundred days not trained on", xlabel="day", ylim=(-2, 2.6))
    for axes in figure.axes:
        axes.legend(frameon=False, fontsize=8)
    save(figure)
