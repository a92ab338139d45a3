"""Solution of exercise 18, and mistakes with what the check says of them."""

import numpy as np


# > epoch: passes
def epoch(step, x, labels, batch_size, rng):
    order, total = rng.permutation(len(x)), 0.0
    for start in range(0, len(x), batch_size):
        rows = order[start : start + batch_size]
        total += len(rows) * step(x[rows], labels[rows])
    return total / len(x)


# > last_batch_dropped: the short batch at the end is left out: two of ten rows were never seen
def last_batch_dropped(step, x, labels, batch_size, rng):
    count = len(x) // batch_size * batch_size
    return epoch(step, x[:count], labels[:count], batch_size, rng)


# > labels_not_shuffled: labels went astray: x and labels must be taken by the same permutation
def labels_not_shuffled(step, x, labels, batch_size, rng):
    return epoch(step, x[rng.permutation(len(x))], labels, batch_size, np.random.default_rng(0))


# > mean_of_means: the mean loss is wrong: expected 28.5, got 29.17
# >   a mean of means: the batch of 2 weighs as much as one of 4
def mean_of_means(step, x, labels, batch_size, rng):
    order = rng.permutation(len(x))
    parts = [order[start : start + batch_size] for start in range(0, len(x), batch_size)]
    return np.mean([step(x[rows], labels[rows]) for rows in parts])


# > drawn_with_replacement: a row came twice and another never: permute the rows, do not draw them
def drawn_with_replacement(step, x, labels, batch_size, rng):
    rows = rng.integers(0, len(x), len(x))
    return epoch(step, x[rows], labels[rows], batch_size, rng)


# > same_order_each_epoch: the second epoch has the order of the first: shuffle anew, by rng
def same_order_each_epoch(step, x, labels, batch_size, rng):
    return epoch(step, x, labels, batch_size, np.random.default_rng(0))
