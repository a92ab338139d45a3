"""Exercise 13: a straight line, fitted by descent.

Fit y ≈ a x + b. The loss is the mean square of the errors e = a x + b - y. Write its two slopes, and descend from
a = b = 0: `steps` times a step of lr against them.
"""

# %%
import numpy as np
from _exercise import equal, run


def fit_line(x, y, lr, steps):
    """x, y : (N,). Returns a and b."""
    raise NotImplementedError


# %% [markdown]
# The check: one step, worked out, then many, which must arrive where `np.polyfit` is.


# %%
def check(fit_line):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 3, 50)
    y = 2 * x - 1 + 0.3 * rng.standard_normal(50)
    first = np.asarray([0.1 * 2 * np.mean(x * y), 0.1 * 2 * np.mean(y)])
    late = 0.1 * 2 * np.mean(y - first[0] * x)
    told = {
        "b's slope was taken at the new a: first both slopes, then both updates": (first[0], late),
        "it climbs: the slope points uphill, so subtract it": -first,
        "the loss is a mean, its slope a sum: divide by N, or lr must shrink as the data grow": 50 * first,
        "the square's 2 is missing from the slope": first / 2,
        "nothing has moved: are a and b returned as updated?": 0 * first,
    }
    equal("(a, b) after one step", fit_line(x, y, 0.1, 1), first, told)
    equal("(a, b) after 2,000 steps", fit_line(x, y, 0.1, 2000), np.polyfit(x, y, 1))


if __name__ == "__main__":
    run(check, fit_line)
