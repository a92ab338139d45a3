"""Solution of exercise 15, and mistakes with what the check says of them."""

import numpy as np


# > l1_step: passes
def l1_step(w, g, lr, lam):
    u = w - lr * g
    return np.sign(u) * np.maximum(np.abs(u) - lr * lam, 0)


# > slope_of_l1: w is wrong, most at [4]: expected -0.01, got -0.11
# >   that is the slope λ sign(w) of L1: it jumps over 0
def slope_of_l1(w, g, lr, lam):
    return w - lr * (g + lam * np.sign(w))


# > shrunk_before_the_step: w is wrong, most at [4]: expected -0.01, got -0.1
# >   it shrinks before the step; the step comes first
def shrunk_before_the_step(w, g, lr, lam):
    return np.sign(w) * np.maximum(np.abs(w) - lr * lam, 0) - lr * g


# > crosses_0: w is wrong, most at [3]: expected 0, got 0.03
# >   it crosses 0: what is nearer to 0 than lr λ must stay there
def crosses_0(w, g, lr, lam):
    u = w - lr * g
    return u - lr * lam * np.sign(u)


# > rate_forgotten: w is wrong, most at [0]: expected 0.9, got 0.45
# >   shrink by lr λ, not by λ
def rate_forgotten(w, g, lr, lam):
    u = w - lr * g
    return np.sign(u) * np.maximum(np.abs(u) - lam, 0)
