"""Solution of exercise 12, and mistakes with what the check says of them."""

import numpy as np


# > centred: passes
def centred(w, g, cache, mean, lr=0.001, rho=0.9):
    cache, mean = rho * cache + (1 - rho) * g**2, rho * mean + (1 - rho) * g
    return w - lr * g / (np.sqrt(cache - mean**2) + 1e-7), cache, mean


# > default_of_sgd: the default lr is SGD's: here it throws every weight 3.3 far at once; take 0.001
def default_of_sgd(w, g, cache, mean, lr=1.0, rho=0.9):
    return centred(w, g, cache, mean, lr, rho)


# > mean_not_squared: w is wrong, most at [1]: expected -0.1, got nan
# >   subtract the square of the mean, not the mean
def mean_not_squared(w, g, cache, mean, lr=0.001, rho=0.9):
    cache, mean = rho * cache + (1 - rho) * g**2, rho * mean + (1 - rho) * g
    return w - lr * g / (np.sqrt(cache - mean) + 1e-7), cache, mean


# > old_mean: w is wrong, most at [1]: expected -0.1, got -0.09487
# >   that is plain RMSProp: subtract mean², that of the new mean
def old_mean(w, g, cache, mean, lr=0.001, rho=0.9):
    cache = rho * cache + (1 - rho) * g**2
    return w - lr * g / (np.sqrt(cache - mean**2) + 1e-7), cache, rho * mean + (1 - rho) * g


# > rho_exchanged: cache is wrong, most at [0]: expected 2.5, got 22.5
# >   ρ stays with the old cache, 1 - ρ goes with g²
def rho_exchanged(w, g, cache, mean, lr=0.001, rho=0.9):
    return centred(w, g, cache, mean, lr, 1 - rho)
