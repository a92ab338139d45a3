"""Exercise 12: RMSProp that knows the mean (centred).

RMSProp divides by the root of the mean of g². A gradient that always has the same value is sure, one that varies is
not, and RMSProp cannot tell them apart. The centred form keeps the mean of g too, and divides by the root of the
variance:

    cache = ρ cache + (1 - ρ) g²,   mean = ρ mean + (1 - ρ) g,   w = w - lr g / (√(cache - mean²) + ε)

Write this step, with ε = 1e-7, and give lr a default that suits it: 0.001.
"""

# %%
import numpy as np
from _exercise import equal, require, run

import arraynn as nn


def centred(w, g, cache, mean, lr=..., rho=0.9):
    """All arrays have the shape of w. Returns the new w, cache and mean."""
    raise NotImplementedError


# %% [markdown]
# The check: at the first step cache is 0.1 g² and mean is 0.1 g, so the variance is 0.09 g² and the step lr / 0.3.
# Where the mean happens to come out as 0, the step must be `nn.RMSProp`'s.


# %%
def check(centred):
    zero, g = np.zeros(2), np.asarray([5.0, 0.5])
    w, cache, mean = centred(zero, g, zero, zero, 0.03)
    equal("cache", cache, 0.1 * g**2, {"ρ stays with the old cache, 1 - ρ goes with g²": 0.9 * g**2})
    equal("mean", mean, 0.1 * g, {"ρ stays with the old mean, 1 - ρ goes with g": 0.9 * g})
    told = {
        "that is plain RMSProp: subtract mean², that of the new mean": [-0.03 / 0.1**0.5] * 2,
        "subtract the square of the mean, not the mean": -0.03 * g / (np.sqrt(0.1 * g**2 - 0.1 * g) + 1e-7),
        "there is no root": -0.03 * g / (0.09 * g**2 + 1e-7),
    }
    equal("w", w, [-0.1, -0.1], told, tolerance=1e-5)
    default = -centred(zero, g, zero, zero)[0][0] * 0.3
    require(default < 0.5, "the default lr is SGD's: here it throws every weight 3.3 far at once; take 0.001")
    equal("the default lr", default, 0.001, tolerance=1e-5)
    params, optimizer = {"w": np.ones(2)}, nn.RMSProp(learning_rate=0.03, rho=0.9)
    params, _ = optimizer.update(params, {"w": g.copy()}, optimizer.init(params))
    w, _, mean = centred(np.ones(2), g, zero, -g / 9, 0.03)
    equal("mean", mean, zero)
    equal("w where the mean is 0", w, params["w"], tolerance=1e-6)


if __name__ == "__main__":
    run(check, centred)
