"""Solution of exercise 9, and mistakes with what the check says of them."""

import numpy as np


# > update: passes
def update(table, cache, rows, grads, lr):
    named, places = np.unique(rows, return_inverse=True)
    g = np.zeros((len(named), table.shape[1]))
    np.add.at(g, places, grads)
    cache[named] += g**2  # each row is named once now
    table[named] -= lr * g / (np.sqrt(cache[named]) + 1e-7)
    return table, cache


# > cache_set: cache after step 2 is wrong, most at [1, 0]: expected 10.81, got 5.406
# >   the cache is set, not added to
def cache_set(table, cache, rows, grads, lr):
    return update(table, np.zeros_like(cache), rows, grads, lr)


# > last_gradient_only: cache after step 1 is wrong, most at [3, 0]: expected 3.494, got 1.552
# >   of a row that is named twice only the last gradient counts: use np.add.at
def last_gradient_only(table, cache, rows, grads, lr):
    cache[rows] += grads**2
    table[rows] -= lr * grads / (np.sqrt(cache[rows]) + 1e-7)
    return table, cache


# > squared_before_the_sum: cache after step 1 is wrong, most at [3, 0]: expected 3.494, got 1.941
# >   add up a row's gradients first, then square; not the other way round
def squared_before_the_sum(table, cache, rows, grads, lr):
    np.add.at(cache, rows, grads**2)
    np.add.at(table, rows, -lr * grads / (np.sqrt(cache[rows]) + 1e-7))
    return table, cache
