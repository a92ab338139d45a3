"""Exercise 9: Adagrad for a table of which a batch uses few rows.

A table of word vectors is (words, D). A batch names some of its rows, one more than once, and brings a gradient for
each naming. Update the table as Adagrad would with the whole gradient: a row that is named twice has the sum of its two
gradients, and rows that are not named stay. Beware: in NumPy, `a[rows] += b` adds only the last of equal rows;
`np.add.at(a, rows, b)` adds all.
"""

# %%
import numpy as np
from _exercise import equal, run

import arraynn as nn


def update(table, cache, rows, grads, lr):
    """table, cache : (words, D), rows : (n,) integers, grads : (n, D). Returns the new table and cache. ε is 1e-7."""
    raise NotImplementedError


# %% [markdown]
# The check makes the whole gradient, mostly zeros, and lets `nn.Adagrad` take two steps with it.


# %%
def check(update):
    rng = np.random.default_rng(0)
    start, rows, grads = rng.standard_normal((5, 2)), np.asarray([3, 1, 3]), rng.standard_normal((3, 2))
    whole, last, squares = np.zeros((5, 2)), np.zeros((5, 2)), np.zeros((5, 2))
    np.add.at(whole, rows, grads)
    np.add.at(squares, rows, grads**2)
    last[rows] = grads
    optimizer, params = nn.Adagrad(learning_rate=0.5), {"w": start.copy()}
    state = optimizer.init(params)
    table, cache = start, np.zeros((5, 2))
    for step in (1, 2):
        table, cache = update(table.copy(), cache.copy(), rows, grads, 0.5)
        told = {
            "of a row that is named twice only the last gradient counts: use np.add.at": step * last**2,
            "add up a row's gradients first, then square; not the other way round": step * squares,
            "the cache is set, not added to": whole**2,
        }
        equal(f"cache after step {step}", cache, step * whole**2, told)
        params, state = optimizer.update(params, {"w": whole.copy()}, state)
        equal(f"table after step {step}", table, params["w"])


if __name__ == "__main__":
    run(check, update)
