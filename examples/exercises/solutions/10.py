"""Solution of exercise 10, and mistakes with what the check says of them."""

import numpy as np


# > adam: passes
def adam(w, g, m, v, step, lr, beta1=0.9, beta2=0.999, epsilon=1e-8):
    t = step + 1
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    root = (1 - beta2**t) ** 0.5
    return w - lr * root / (1 - beta1**t) * m / (np.sqrt(v) + epsilon * root), m, v


# > no_bias_correction: w after the first step is wrong, most at [0]: expected -0.02, got -0.06325
# >   there is no bias correction: the first step is 3.16 lr
def no_bias_correction(w, g, m, v, step, lr, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * m / (np.sqrt(v) + epsilon), m, v


# > counted_from_0: 1 - β^0 is 0, and it divides by that: step is 0 at first, the paper's t is step + 1
def counted_from_0(w, g, m, v, step, lr, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return adam(w, g, m, v, step - 1, lr, beta1, beta2, epsilon)


# > root_forgotten: w after the first step is wrong, most at [1]: expected -0.02, got -0.0006324
# >   the root in α is missing
def root_forgotten(w, g, m, v, step, lr, beta1=0.9, beta2=0.999, epsilon=1e-8):
    t = step + 1
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - lr * (1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + epsilon), m, v


# > corrected_averages_kept: m is wrong, most at [0]: expected 10, got 100
# >   that is m̂: the correction is for the step alone, m is kept as it is
def corrected_averages_kept(w, g, m, v, step, lr, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m = (beta1 * m + (1 - beta1) * g) / (1 - beta1 ** (step + 1))
    v = (beta2 * v + (1 - beta2) * g**2) / (1 - beta2 ** (step + 1))
    return w - lr * m / (np.sqrt(v) + epsilon), m, v
