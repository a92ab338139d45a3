"""Solution of exercise 19, and mistakes with what the check says of them."""

import numpy as np


# > pooled: passes
def pooled(x, size):
    rows, columns = x.shape[0] - size + 1, x.shape[1] - size + 1
    # pixel (i, j) of all windows at once: an image that is shifted by i and j
    shifts = [(slice(i, i + rows), slice(j, j + columns)) for i in range(size) for j in range(size)]

    def backward(dy):
        dx = np.zeros_like(x)
        for place in shifts:
            dx[place] += dy / size**2
        return dx

    return sum(x[place] for place in shifts) / size**2, backward


# > written_not_added: dx is wrong, most at [2, 3]: expected -0.721, got -0.05229
# >   written, not added: a pixel keeps the gradient of its last window alone
def written_not_added(x, size):
    def backward(dy):
        dx = np.zeros_like(x)
        for r, c in np.ndindex(dy.shape):
            dx[r : r + size, c : c + size] = dy[r, c] / size**2
        return dx

    return pooled(x, size)[0], backward


# > division_forgotten_backward: dx is wrong, most at [2, 3]: expected -0.721, got -2.884
# >   a pixel moves the mean of four by a quarter of what it moves: / size² is missing
def division_forgotten_backward(x, size):
    y, backward = pooled(x, size)
    return y, lambda dy: size**2 * backward(dy)


# > sum_for_mean: y is wrong, most at [1, 3]: expected -0.8585, got -3.434
# >   that is the sum of each window, not its mean
def sum_for_mean(x, size):
    y, backward = pooled(x, size)
    return size**2 * y, lambda dy: size**2 * backward(dy)
