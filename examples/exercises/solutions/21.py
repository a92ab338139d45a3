"""Solution of exercise 21, and mistakes with what the check says of them."""

import numpy as np


# > leaky: passes
def leaky(x, a):
    h = np.zeros_like(x)
    for t in range(len(x)):
        h[t] = a * (h[t - 1] if t else 0) + (1 - a) * x[t]

    def backward(dh):
        dx, da, after = np.zeros_like(x), np.zeros_like(a), np.zeros_like(a)
        for t in reversed(range(len(x))):
            d = dh[t] + a * after  # the loss reads h_t, and the next state
            dx[t] = (1 - a) * d
            da += d * ((h[t - 1] if t else 0) - x[t])
            after = d
        return dx, da

    return h, backward


# > next_step_forgotten: dx is wrong, most at [0, 0]: expected 0.25, got 0
# >   what h_1 sends back to h_0 is left out: h_0 has two readers
def next_step_forgotten(x, a):
    h, _ = leaky(x, a)
    before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
    return h, lambda dh: ((1 - a) * dh, np.sum(dh * (before - x), axis=0))


# > input_forgotten_in_da: da is wrong, most at [0]: expected -3, got 0.5
# >   a multiplies h_{t-1} and 1 - a multiplies x_t: both move
def input_forgotten_in_da(x, a):
    h, backward = leaky(x, a)
    before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
    return h, lambda dh: (backward(dh)[0], np.sum(backward(dh)[0] / (1 - a) * before, axis=0))


# > last_part_of_da_only: da is wrong, most at [0]: expected -3, got -0.5
# >   a is shared by all steps, so their parts add up
def last_part_of_da_only(x, a):
    h, backward = leaky(x, a)
    return h, lambda dh: (backward(dh)[0], backward(dh)[0][0] / (1 - a) * (0 - x[0]))
