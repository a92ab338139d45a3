"""Exercise 2: the logarithm of the softmax, for logits of any size.

y = log softmax(z), row by row. With small logits, the log of a softmax does it. With logits of 1000 that is -inf where
the answer is -1000. "Only differences count", as in lesson 2, and log(a / b) = log a - log b. Backward: softmax is
exp(y), and dz = dy - exp(y) Σ dy, where the sum is that of the row.
"""

# %%
import numpy as np
from _exercise import differences, equal, run

import arraynn as nn


def log_softmax(z):
    """z : (N, K). Returns y : (N, K) and backward(dy) -> dz."""
    raise NotImplementedError


# %% [markdown]
# The check: small logits against arraynn's softmax, large ones against numbers worked by hand, the backward against
# numbers and against differences.


# %%
def check(log_softmax):
    z = np.asarray([[1.0, 2.0, 3.0], [-1.0, 0.0, 4.0], [0.5, 0.5, 0.5]])
    y, backward = log_softmax(z)
    p, _ = nn.softmax(z)
    shifted = z - z.max(axis=1, keepdims=True)
    across = shifted - np.log(np.exp(shifted).sum(axis=1))
    equal("y", y, np.log(p), {"without keepdims the sums of the rows lie along the columns": across})
    large = np.asarray([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1000.0]])
    third, inf = -np.log(3.0), np.inf
    told = {
        "exp(-1000) is 0 and its log -inf; do not take the log of a softmax": [[0, -inf, -inf], [third] * 3],
        "exp(1000) is infinite; subtract the maximum of the row first": [[-inf] * 3, [inf] * 3],
        "each row needs its own maximum, not that of the array": [[0, -1000, -2000], [inf] * 3],
    }
    equal("y of logits of 1000", log_softmax(large)[0], [[0, -1000, -2000], [third] * 3], told)
    dy = np.asarray([[0.0, 0.0, 2.0], [1.0, 1.0, 0.5], [1.0, -2.0, 3.0]])
    sums = dy.sum(axis=1, keepdims=True)
    equal("dz", backward(dy), dy - p * sums, {"exp(y) is multiplied by the sum of the row's dy": dy - p})
    differences(log_softmax, z)


if __name__ == "__main__":
    run(check, log_softmax)
