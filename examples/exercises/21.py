"""Exercise 21: backward through a moving average.

A neuron that leaks keeps a part a of its state: h_t = a h_{t-1} + (1 - a) x_t, with h_{-1} = 0. Each column has its own
a, and it is learnt. Write backward through time. h_t has two readers, as in lesson 21. And what does h_t change by, if
a grows?
"""

# %%
import numpy as np
from _exercise import differences, equal, run


def leaky(x, a):
    """x : (T, D), a : (D,). Returns the states h : (T, D) and backward(dh) -> dx, da."""
    raise NotImplementedError


# %% [markdown]
# The check: two steps by hand, then differences. With x = (1, 3) and a = 0.5: h = (0.5, 1.75). For dh = (0, 1):
# dx_1 = 0.5, and dh_0 is 0.5, so dx_0 = 0.25. da = 1 · (0.5 - 3) + 0.5 · (0 - 1) = -3.


# %%
def check(leaky):
    x, a = np.asarray([[1.0], [3.0]]), np.asarray([0.5])
    h, backward = leaky(x, a)
    equal("h", h, [[0.5], [1.75]], {"a stays with the old state, 1 - a goes with x": [[0.5], [1.25]]})
    dx, da = backward(np.asarray([[0.0], [1.0]]))
    forgotten = "what h_1 sends back to h_0 is left out: h_0 has two readers"
    equal("dx", dx, [[0.25], [0.5]], {forgotten: [[0.0], [0.5]]})
    told = {
        forgotten: [-2.5],
        "a multiplies h_{t-1} and 1 - a multiplies x_t: both move": [0.5],
        "a is shared by all steps, so their parts add up": [-0.5],
    }
    equal("da", da, [-3.0], told)
    rng = np.random.default_rng(0)
    differences(leaky, rng.standard_normal((6, 3)), np.asarray([0.2, 0.5, 0.9]))


if __name__ == "__main__":
    run(check, leaky)
