"""Exercise 17: check a whole network yourself.

check_backward is no magic. Move one number of w by h to both sides, see how the loss answers, and its slope there is
(loss(w + h) - loss(w - h)) / 2h. Write this for every number of an array, and you can judge any backward.
"""

# %%
import numpy as np
from _exercise import equal, require, run

import arraynn as nn


def numeric_gradient(loss, w, h=1e-3):
    """loss : a function of an array like w that returns a number. Returns the gradient; w is as it was."""
    raise NotImplementedError


# %% [markdown]
# The check: Σ exp(w), whose slope is known; then lesson 17's network, where your function must agree with arraynn's
# backward, and must find out a ReLU that is masked by the signs of dy.


# %%
def check(numeric_gradient):
    w = np.asarray([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5]])
    given, e = w.copy(), np.exp(w)
    found = numeric_gradient(lambda v: float(np.exp(v).sum()), given)
    require(
        np.allclose(given, w, rtol=0, atol=1e-12), "w is not as it was: put each number back before you move the next"
    )
    told = {
        "one-sided: the loss at w itself is no good; go to both sides": e * (np.exp(1e-3) - 1) / 1e-3,
        "the two places are 2h apart, so divide by 2h": 2 * e * np.sinh(1e-3) / 1e-3,
        "all numbers were moved at once: move one, and leave the others": np.full(
            (2, 3), e.sum() * np.sinh(1e-3) / 1e-3
        ),
        "the sign: up minus down": -e * np.sinh(1e-3) / 1e-3,
    }
    equal("the gradient of Σ exp(w)", found, e * np.sinh(1e-3) / 1e-3, told)
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((20, 2)), rng.integers(0, 3, 20)
    w1, w2, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 3)), np.zeros(3)

    def forward(w1):
        z1, dense1_backward = nn.dense(x, w1, b)
        h, relu_backward = nn.relu(z1)
        z2, dense2_backward = nn.dense(h, w2, b)
        loss, loss_backward = nn.softmax_cross_entropy(z2, labels)
        return float(loss), dense2_backward(loss_backward())[0], relu_backward, dense1_backward

    _, dh, relu_backward, dense1_backward = forward(w1)
    found = numeric_gradient(lambda v: forward(v)[0], w1, 1e-6)
    equal("dw1 of the network", found, dense1_backward(relu_backward(dh))[1], tolerance=1e-6)
    masked_by_dy = dense1_backward(dh * (dh > 0))[1]
    require(np.abs(found - masked_by_dy).max() > 1e-3, "it does not find the ReLU that is masked by dy")


if __name__ == "__main__":
    run(check, numeric_gradient)
