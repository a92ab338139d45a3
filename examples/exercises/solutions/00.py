"""Solution of exercise 0, and mistakes with what the check says of them."""

import numpy as np


# > step: passes
def step(x, t, w1, b1, w2, b2):
    z1 = x @ w1 + b1
    h = np.tanh(z1)
    y = h @ w2 + b2
    loss = np.mean((y - t) ** 2)
    dy = 2 * (y - t) / x.shape[0]
    dw2, db2, dh = h.T @ dy, dy.sum(axis=0), dy @ w2.T
    dz1 = dh * (1 - h**2)
    dw1, db1 = x.T @ dz1, dz1.sum(axis=0)
    return loss, tuple(p - 0.5 * d for p, d in ((w1, dw1), (b1, db1), (w2, dw2), (b2, db2)))


# > w2_updated_first: w1 is wrong, most at [0, 0]: expected 0.3204, got 0.2854
# >   dh was made with the new w2: first all gradients, then all updates
def w2_updated_first(x, t, w1, b1, w2, b2):
    h = np.tanh(x @ w1 + b1)
    y = h @ w2 + b2
    dy = 2 * (y - t) / x.shape[0]
    w2, b2 = w2 - 0.5 * h.T @ dy, b2 - 0.5 * dy.sum(axis=0)
    dz1 = dy @ w2.T * (1 - h**2)
    return np.mean((y - t) ** 2), (w1 - 0.5 * x.T @ dz1, b1 - 0.5 * dz1.sum(axis=0), w2, b2)


# > slope_of_z1: w1 is wrong, most at [0, 0]: expected 0.3204, got 0.1805
# >   tanh's slope is 1 - h², made from its output, not from z1
def slope_of_z1(x, t, w1, b1, w2, b2):
    z1 = x @ w1 + b1
    h = np.tanh(z1)
    y = h @ w2 + b2
    dy = 2 * (y - t) / x.shape[0]
    dz1 = dy @ w2.T * (1 - z1**2)
    new = w1 - 0.5 * x.T @ dz1, b1 - 0.5 * dz1.sum(axis=0), w2 - 0.5 * h.T @ dy, b2 - 0.5 * dy.sum(axis=0)
    return np.mean((y - t) ** 2), new


# > mean_forgotten: b2 is wrong, most at [0]: expected -0.6857, got -2.743
# >   the loss is a mean over N rows, so dy has / N
def mean_forgotten(x, t, w1, b1, w2, b2):
    h = np.tanh(x @ w1 + b1)
    y = h @ w2 + b2
    dy = 2 * (y - t)
    dz1 = dy @ w2.T * (1 - h**2)
    new = w1 - 0.5 * x.T @ dz1, b1 - 0.5 * dz1.sum(axis=0), w2 - 0.5 * h.T @ dy, b2 - 0.5 * dy.sum(axis=0)
    return np.mean((y - t) ** 2), new
