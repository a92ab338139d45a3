"""Solution of exercise 2, and mistakes with what the check says of them."""

import numpy as np


# > log_softmax: passes
def log_softmax(z):
    shifted = z - np.max(z, axis=1, keepdims=True)
    y = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * np.sum(dy, axis=1, keepdims=True)


# > log_of_the_softmax: y of logits of 1000 is wrong, most at [0, 1]: expected -1000, got -inf
# >   exp(-1000) is 0 and its log -inf; do not take the log of a softmax
def log_of_the_softmax(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    y = np.log(e / np.sum(e, axis=1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * np.sum(dy, axis=1, keepdims=True)


# > no_maximum: y of logits of 1000 is wrong, most at [0, 0]: expected 0, got -inf
# >   exp(1000) is infinite; subtract the maximum of the row first
def no_maximum(z):
    y = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * np.sum(dy, axis=1, keepdims=True)


# > maximum_of_the_array: y of logits of 1000 is wrong, most at [1, 0]: expected -1.099, got inf
# >   each row needs its own maximum, not that of the array
def maximum_of_the_array(z):
    shifted = z - np.max(z)
    y = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * np.sum(dy, axis=1, keepdims=True)


# > keepdims_forgotten: y is wrong, most at [1, 2]: expected -0.02474, got -1.099
# >   without keepdims the sums of the rows lie along the columns
def keepdims_forgotten(z):
    shifted = z - np.max(z, axis=1, keepdims=True)
    y = shifted - np.log(np.sum(np.exp(shifted), axis=1))
    return y, lambda dy: dy - np.exp(y) * np.sum(dy, axis=1)


# > sum_of_dy_forgotten: dz is wrong, most at [1, 2]: expected -1.939, got -0.4756
# >   exp(y) is multiplied by the sum of the row's dy
def sum_of_dy_forgotten(z):
    y, _ = log_softmax(z)
    return y, lambda dy: dy - np.exp(y)
