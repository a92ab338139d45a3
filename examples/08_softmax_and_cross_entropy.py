"""Lesson 8: softmax and cross-entropy backward in one step: (p - onehot) / N.

Exercise: `examples/exercises/08.py`. Live: `arraynn play --preset 08`.
"""

# %%
import timeit

import numpy as np
from _lesson import lesson, refused, show

import arraynn as nn
from arraynn.testing import check_backward

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# The input of lesson 6: probabilities p, true classes 0, 1, 1. In two steps, the gradient goes from the loss to p
# (lesson 6: dp = -t / p / N), then from p to the logits z through softmax's Jacobian, dp[j]/dz[k] = p[j] (δ[j, k] -
# p[k]). In one step, put the first into the second:
#
#     dz[k] = Σ_j -t[j] / p[j] / N · p[j] (δ[j, k] - p[k])     p[j] cancels
#           = (-t[k] + p[k] Σ_j t[j]) / N                      the t of a row sum to 1
#           = (p[k] - t[k]) / N
#
# What remains: the probability given, less the one wanted. No division by p, which may be tiny, and no Jacobian.

# %%
p = put([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
labels = backend.asarray([0, 1, 1])
logits = xp.log(p)  # softmax(log p) is p
loss, loss_backward = nn.softmax_cross_entropy(logits, labels)
fused = loss_backward()
show("loss", loss)
show("fused", fused)
# > loss = 0.3851
# > fused (3, 3)
# >  -0.1000   0.0333   0.0667
# >   0.0333  -0.1667   0.1333
# >   0.0067  -0.0333   0.0267

# %% [markdown]
# First number: (0.7 - 1) / 3 = -0.1. Each row sums to 0. The same through the two blocks:

# %%
probabilities, softmax_backward = nn.softmax(logits)
_, cross_entropy_backward = nn.cross_entropy(probabilities, labels)
two_steps = softmax_backward(cross_entropy_backward())
show("two steps", two_steps)
print("equal:", float(xp.max(xp.abs(fused - two_steps))) < 1e-6)
# > two steps (3, 3)
# >  -0.1000   0.0333   0.0667
# >   0.0333  -0.1667   0.1333
# >   0.0067  -0.0333   0.0267
# > equal: True

# %% [markdown]
# And by explicit Jacobians, one matrix K × K for each row, as many scripts do it. Times are this machine's, not stated.


# %%
def by_jacobians(p, dp):
    jacobians = [np.diagflat(row) - np.outer(row, row) for row in p]
    return np.stack([jacobian @ row for jacobian, row in zip(jacobians, dp, strict=True)])


def seconds(call, repeats=200):
    return timeit.timeit(call, number=repeats) / repeats


hp, hdp = (np.asarray(nn.backend(v).to_numpy(v)) for v in (probabilities, cross_entropy_backward()))
print("Jacobians give the same:", np.allclose(by_jacobians(hp, hdp), nn.backend(fused).to_numpy(fused)))
# > Jacobians give the same: True
times = {
    "one step": seconds(loss_backward),
    "two steps": seconds(lambda: softmax_backward(cross_entropy_backward())),
    "Jacobians": seconds(lambda: by_jacobians(hp, hdp)),
}
print("; ".join(f"{name} {t * 1e6:.0f} µs" for name, t in times.items()))

# %% [markdown]
# It is also the safer way. Logits of ±1000 are no trouble: no log of a 0 is ever taken, and nothing is clipped.

# %%
extreme = put([[1000.0, 0.0, -1000.0]])
show("loss of a sure and wrong answer", nn.softmax_cross_entropy(extreme, backend.asarray([2]))[0], digits=1)
check_backward(nn.softmax_cross_entropy, logits, labels)
# > loss of a sure and wrong answer = 2000.0

# %% [markdown]
# The common mistake here: a combined class stores its parts as classes, `self.activation = Softmax`, without the
# brackets. Nothing happens until the first call, which then complains of a missing argument, far from the cause.
# arraynn asks for instances where they are handed over.

# %%
refused(TypeError, lambda: nn.Sequential(nn.Dense(3), nn.Softmax))
refused(TypeError, lambda: check_backward(nn.Softmax, logits))
# > TypeError: Sequential takes layers, one by one: Sequential(Dense(64), ReLU()); argument 1 is the class
# >     Softmax; give a layer of it, Softmax(…)
# > TypeError: give an instance, such as Softmax(…), not the class Softmax
