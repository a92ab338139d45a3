"""Exercise 11: momentum that looks ahead (Nesterov).

Momentum moves by v. Nesterov's form makes v first, and then moves by where v is about to go: v = μ v - lr g, and
w = w + μ v - lr g with the new v. Write one step. By hand, with v = 0, g = 1, lr 0.1 and μ 0.5: the new v is -0.1, and
w moves by 0.5 · (-0.1) - 0.1 = -0.15.
"""

# %%
import numpy as np
from _exercise import equal, run

import arraynn as nn


def nesterov(w, v, g, lr, mu):
    """All arrays have the shape of w. Returns the new w and v."""
    raise NotImplementedError


# %% [markdown]
# The check: three steps with g = 1 on paper, then a valley beside `nn.SGD(nesterov=True)`.


# %%
def check(nesterov):
    one, w, v = np.ones(1), np.zeros(1), np.zeros(1)
    w, v = nesterov(w, v, one, 0.1, 0.5)
    equal("v after step 1", v, [-0.1], {"the minus is inside v: v = μ v - lr g": [0.1]})
    told = {
        "that is w + v: momentum without looking ahead, or looking ahead along the old v": [-0.1],
        "two minus signs: it climbs": [0.15],
        "- lr g is missing beside μ v": [-0.05],
    }
    equal("w after step 1", w, [-0.15], told)
    w, v = nesterov(w, v, one, 0.1, 0.5)
    equal("v after step 2", v, [-0.15])
    equal("w after step 2", w, [-0.325])
    slopes, start = np.asarray([1.0, 25.0]), np.asarray([-2.0, 0.4])
    optimizer, params = nn.SGD(0.03, momentum=0.7, nesterov=True), {"w": start.copy()}
    state, w, v = optimizer.init(params), start, np.zeros(2)
    for step in range(10):
        w, v = nesterov(w, v, slopes * w, 0.03, 0.7)
        params, state = optimizer.update(params, {"w": slopes * params["w"]}, state)
        equal(f"w in the valley, step {step + 1}", w, params["w"])


if __name__ == "__main__":
    run(check, nesterov)
