"""Exercise 8: two classes, one logit.

With two classes one logit z is enough: p = σ(z) = 1 / (1 + exp(-z)) is the probability of class 1. The loss of a row
with target t (0 or 1) is -t log p - (1 - t) log(1 - p). Put p in, and it is log(1 + exp(z)) - t z. Write the mean over
the rows, and its gradient in one step, as lesson 8 does for softmax. Logits of ±1000 must work:
log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)).
"""

# %%
import numpy as np
from _exercise import differences, equal, run

import arraynn as nn


def two_classes(z, t):
    """z : (N,) logits, t : (N,) targets. Returns the loss and backward() -> dz : (N,)."""
    raise NotImplementedError


# %% [markdown]
# The check: arraynn's block, large logits by hand (a logit of 1000 with target 0 has loss 1000), and differences.


# %%
def check(two_classes):
    z, t = np.asarray([2.0, -1.0, 0.5, 0.0]), np.asarray([1.0, 0.0, 0.0, 1.0])
    loss, backward = two_classes(z, t)
    right, right_backward = nn.sigmoid_cross_entropy(z, t)
    equal("loss", loss, right, {"the loss is the mean of the rows, not their sum": 4 * right})
    dz = right_backward()
    told = {
        "the loss is a mean over N rows, so its gradient has / N": 4 * dz,
        "the sign: it is the probability given, less the one wanted": -dz,
        "the sign of the target: p - t, not p + t": (nn.sigmoid(z)[0] + t) / 4,
    }
    equal("dz", backward(), dz, told)
    large = np.asarray([1000.0, -1000.0])
    loss, backward = two_classes(large, np.asarray([0.0, 1.0]))
    overflow = "exp(1000) is infinite: use max(z, 0) + log(1 + exp(-|z|))"
    lost = "log of a p that was rounded to 0 or 1: go from z to the loss without p"
    equal("loss of logits of 1000", loss, 1000.0, {overflow: np.inf, overflow + " ": np.nan, lost: -np.log(1e-7)})
    equal("dz of logits of 1000", backward(), [0.5, -0.5])

    def block(z):
        loss, backward = two_classes(z, t)
        return loss, lambda dloss=1.0: dloss * backward()

    differences(block, z)


if __name__ == "__main__":
    run(check, two_classes)
