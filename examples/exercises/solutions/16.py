"""Solution of exercise 16, and mistakes with what the check says of them."""

import numpy as np


# > squared_distances: passes
def squared_distances(a, b):
    return np.sum(a**2, axis=1, keepdims=True) - 2 * a @ b.T + np.sum(b**2, axis=1)


# > keepdims_forgotten: the matrix is wrong, most at [0, 2]: expected 0, got 17
# >   |a|² lies along the columns: it needs keepdims, (N, 1), to lie beside the rows
def keepdims_forgotten(a, b):
    return np.sum(a**2, axis=1) - 2 * a @ b.T + np.sum(b**2, axis=1)


# > keepdims_twice: the matrix is wrong, most at [0, 2]: expected 0, got 9
# >   |b|² lies beside the rows: (M,) lies along the columns
def keepdims_twice(a, b):
    return np.sum(a**2, axis=1, keepdims=True) - 2 * a @ b.T + np.sum(b**2, axis=1, keepdims=True)


# > row_against_row: the matrix has shape (3,), expected (3, 3)
# >   a - b pairs row i with row i alone; all pairs need (N, 1, D) against (M, D)
def row_against_row(a, b):
    return np.sum((a - b) ** 2, axis=1)


# > wrong_axis: the matrix is wrong, most at [0, 2]: expected 0, got 25
# >   the squares are summed over axis 0, the points; the coordinates are axis 1
def wrong_axis(a, b):
    return np.sum(a**2, axis=0)[:, None] - 2 * a @ b.T + np.sum(b**2, axis=0)
