"""Exercise 10: Adam's two corrections as one factor.

The corrections of m and v need not be made for every weight. Put m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t) into the
step, and two numbers remain that are the same for all weights:

    w = w - α m / (√v + ε_t),   α = lr √(1 - β2^t) / (1 - β1^t),   ε_t = ε √(1 - β2^t)

Write this step. `step` counts from 0, as arraynn's does; the paper's t counts from 1.
"""

# %%
import numpy as np
from _exercise import equal, run

import arraynn as nn


def adam(w, g, m, v, step, lr, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """All arrays have the shape of w. Returns the new w, m and v."""
    raise NotImplementedError


# %% [markdown]
# The check: the first step of Adam has the length lr, whatever the gradient's size; then five steps beside `nn.Adam`.


# %%
def check(adam):
    zeros = np.zeros(2)
    try:
        w, m, v = adam(zeros, np.asarray([100.0, 0.01]), zeros, zeros, 0, 0.02)
    except ZeroDivisionError:
        raise AssertionError(
            "1 - β^0 is 0, and it divides by that: step is 0 at first, the paper's t is step + 1"
        ) from None
    told = {
        "β1 stays with the old m, 1 - β1 goes with g": [90.0, 0.009],
        "that is m̂: the correction is for the step alone, m is kept as it is": [100.0, 0.01],
    }
    equal("m", m, [10.0, 0.001], told)
    equal("v", v, [10.0, 1e-7], {"v averages g², not g": [0.1, 1e-5]})
    raw = -0.02 * np.asarray([10.0, 0.001]) / np.sqrt([10.0, 1e-7])
    told = {
        "there is no bias correction: the first step is 3.16 lr": raw,
        "the root in α is missing": raw * 0.001 / 0.1,
        "√(1 - β2^t) belongs above, 1 - β1^t below": raw * 0.1 / 0.001**0.5,
        "m is corrected, v is not": raw / 0.1,
    }
    equal("w after the first step", w, [-0.02, -0.02], told, tolerance=1e-5)
    rng = np.random.default_rng(0)
    w, m, v = rng.standard_normal(4), np.zeros(4), np.zeros(4)
    optimizer, params = nn.Adam(0.1), {"w": w.copy()}
    state = optimizer.init(params)
    for step in range(5):
        g = rng.standard_normal(4) * 10.0**-step
        params, state = optimizer.update(params, {"w": g.copy()}, state)
        w, m, v = adam(w, g, m, v, step, 0.1)
        equal(f"w after step {step + 1}", w, params["w"])


if __name__ == "__main__":
    run(check, adam)
