"""Solution of exercise 13, and mistakes with what the check says of them."""

import numpy as np


# > fit_line: passes
def fit_line(x, y, lr, steps):
    a = b = 0.0
    for _ in range(steps):
        e = a * x + b - y
        da, db = 2 * np.mean(e * x), 2 * np.mean(e)
        a, b = a - lr * da, b - lr * db
    return a, b


# > sign_reversed: (a, b) after one step is wrong, most at [0]: expected 0.8255, got -0.8255
# >   it climbs: the slope points uphill, so subtract it
def sign_reversed(x, y, lr, steps):
    return fit_line(x, y, -lr, steps)


# > sum_for_mean: (a, b) after one step is wrong, most at [0]: expected 0.8255, got 41.28
# >   the loss is a mean, its slope a sum: divide by N, or lr must shrink as the data grow
def sum_for_mean(x, y, lr, steps):
    return fit_line(x, y, lr * len(x), steps)


# > half_the_slope: (a, b) after one step is wrong, most at [0]: expected 0.8255, got 0.4128
# >   the square's 2 is missing from the slope
def half_the_slope(x, y, lr, steps):
    return fit_line(x, y, lr / 2, steps)


# > one_after_the_other: (a, b) after one step is wrong, most at [1]: expected 0.2449, got 0.0621
# >   b's slope was taken at the new a: first both slopes, then both updates
def one_after_the_other(x, y, lr, steps):
    a = b = 0.0
    for _ in range(steps):
        a = a - lr * 2 * np.mean((a * x + b - y) * x)
        b = b - lr * 2 * np.mean(a * x + b - y)
    return a, b
