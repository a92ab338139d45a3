"""Exercise 16: the distances of all pairs, without a loop.

a holds N points, b holds M, all with D coordinates. Give the squared distance of each a to each b, as (N, M). Written
out, |a - b|² = |a|² - 2 a·b + |b|², so one product a bᵀ and two sums do it, if each sum lies along the right axis.
"""

# %%
import numpy as np
from _exercise import equal, run


def squared_distances(a, b):
    """a : (N, D), b : (M, D). Returns (N, M)."""
    raise NotImplementedError


# %% [markdown]
# The check begins with N = M = D = 3, where every mistake of an axis has a fitting shape, and compares with a loop.


# %%
def check(squared_distances):
    rng = np.random.default_rng(0)
    a, b = rng.integers(-3, 4, (3, 3)).astype(float), rng.integers(-3, 4, (3, 3)).astype(float)
    aa, bb, ab = (a**2).sum(axis=1), (b**2).sum(axis=1), a @ b.T
    told = {
        "|a|² lies along the columns: it needs keepdims, (N, 1), to lie beside the rows": aa - 2 * ab + bb,
        "|b|² lies beside the rows: (M,) lies along the columns": aa[:, None] - 2 * ab + bb[:, None],
        "the squares are summed over axis 0, the points; the coordinates are axis 1": (a**2).sum(axis=0)[:, None]
        - 2 * ab
        + (b**2).sum(axis=0),
        "a - b pairs row i with row i alone; all pairs need (N, 1, D) against (M, D)": ((a - b) ** 2).sum(axis=1),
        "a b without the transpose": aa[:, None] - 2 * a @ b + bb,
    }
    equal("the matrix", squared_distances(a, b), loop(a, b), told)
    a, b = rng.standard_normal((4, 2)), rng.standard_normal((5, 2))
    equal("the matrix of 4 and 5 points", squared_distances(a, b), loop(a, b))


def loop(a, b):
    return np.asarray([[sum((p - q) ** 2) for q in b] for p in a])


if __name__ == "__main__":
    run(check, squared_distances)
