"""Solution of exercise 8, and mistakes with what the check says of them."""

import numpy as np


# > two_classes: passes
def two_classes(z, t):
    small = np.exp(-np.abs(z))  # never above 1
    loss = np.mean(np.maximum(z, 0) + np.log1p(small) - t * z)
    p = np.where(z >= 0, 1 / (1 + small), small / (1 + small))
    return loss, lambda: (p - t) / z.size


# > mean_forgotten_backward: dz is wrong, most at [2]: expected 0.1556, got 0.6225
# >   the loss is a mean over N rows, so its gradient has / N
def mean_forgotten_backward(z, t):
    loss, backward = two_classes(z, t)
    return loss, lambda: backward() * z.size


# > exp_of_the_logit: loss of logits of 1000 is wrong: expected 1000, got inf
# >   exp(1000) is infinite: use max(z, 0) + log(1 + exp(-|z|))
def exp_of_the_logit(z, t):
    loss = np.mean(np.log(1 + np.exp(z)) - t * z)
    return loss, lambda: (1 / (1 + np.exp(-z)) - t) / z.size


# > probability_clipped: loss of logits of 1000 is wrong: expected 1000, got 16.12
# >   log of a p that was rounded to 0 or 1: go from z to the loss without p
def probability_clipped(z, t):
    p = np.clip(1 / (1 + np.exp(-z)), 1e-7, 1 - 1e-7)
    return np.mean(-t * np.log(p) - (1 - t) * np.log(1 - p)), lambda: (p - t) / z.size


# > sign_reversed: dz is wrong, most at [2]: expected 0.1556, got -0.1556
# >   the sign: it is the probability given, less the one wanted
def sign_reversed(z, t):
    loss, backward = two_classes(z, t)
    return loss, lambda: -backward()
