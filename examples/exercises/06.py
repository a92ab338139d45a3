"""Exercise 6: cross-entropy with a weight for each row.

Some rows count more than others: loss = Σ_i weight[i] · (-log p[i, labels[i]]) / Σ_i weight[i]. With equal weights it
is the mean of lesson 6. Write value and backward; the labels and the weights have no gradient.
"""

# %%
import numpy as np
from _exercise import differences, equal, run

import arraynn as nn


def weighted(p, labels, weight):
    """p : (N, K) probabilities, labels : (N,) integers, weight : (N,). Returns the loss and backward() -> dp."""
    raise NotImplementedError


# %% [markdown]
# The check compares with arraynn's block, whose `sample_weight` is this weight, and then takes differences.


# %%
def check(weighted):
    p = np.asarray([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
    labels, weight = np.asarray([0, 1, 1]), np.asarray([1.0, 3.0, 0.5])
    loss, backward = weighted(p, labels, weight)
    right, right_backward = nn.cross_entropy(p, labels, sample_weight=weight)
    plain, plain_backward = nn.cross_entropy(p, labels)
    total = weight.sum()
    told = {
        "divide by the sum of the weights, not by N": right * total / 3,
        "the division by the sum of the weights is missing": right * total,
        "the weights are not used": plain,
    }
    equal("loss", loss, right, told)
    dp = right_backward()
    told = {
        "forward divided by the sum of the weights, so backward must": dp * total,
        "the loss divides by the sum of the weights, its gradient by N": dp * total / 3,
        "the loss uses the weights, its gradient does not": plain_backward(),
        "the sign: a larger p of the true class makes the loss smaller": -dp,
    }
    equal("dp", backward(), dp, told)

    def block(p):
        loss, backward = weighted(p, labels, weight)
        return loss, lambda dloss=1.0: dloss * backward()

    differences(block, p)


if __name__ == "__main__":
    run(check, weighted)
