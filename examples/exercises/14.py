"""Exercise 14: warm up, then decay.

Large first steps with fresh weights do harm. So the rate climbs for `warmup` updates, lr / warmup, 2 lr / warmup, … up
to lr, and then decays: the first update behind the warm-up has lr again, and lr / (1 + decay · n) n updates later.
Write it as a function of the step, counted from 0, and of nothing else.
"""

# %%
import numpy as np
from _exercise import equal, require, run

import arraynn as nn


def rate(step, lr, warmup, decay):
    """step : int from 0. Returns the learning rate of this update."""
    raise NotImplementedError


# %% [markdown]
# The check asks for steps in order, then again, and gives the function to an optimizer. Behind the warm-up it must be
# `nn.InverseTimeDecay`, counted from there.


# %%
def check(rate):
    steps = range(12)
    given = [rate(step, 0.8, 4, 0.5) for step in steps]
    decayed = [nn.InverseTimeDecay(0.8, decay=0.5)(n) for n in range(14)]
    told = {
        "the first update has rate 0 and does nothing: step counts from 0": [0, 0.2, 0.4, 0.6, *decayed[:8]],
        "the decay counts from the beginning, not from the warm-up's end": [0.2, 0.4, 0.6, 0.8, *decayed[4:12]],
        "the first rate behind the warm-up is decayed already": [0.2, 0.4, 0.6, 0.8, *decayed[1:9]],
    }
    again = [rate(step, 0.8, 4, 0.5) for step in steps]
    require(given == again, "asked again, it answers otherwise: the decayed rate is kept somewhere, and decayed again")
    equal("the list of 12 rates", given, [0.2, 0.4, 0.6, 0.8, *decayed[:8]], told)
    optimizer, params = nn.SGD(lambda step: rate(step, 0.8, 4, 0.5)), {"w": np.zeros(1)}
    state = optimizer.init(params)
    for _ in steps:
        params, state = optimizer.update(params, {"w": np.ones(1)}, state)
    equal("w after 12 updates of SGD with g = 1", params["w"], [-sum(given)])


if __name__ == "__main__":
    run(check, rate)
