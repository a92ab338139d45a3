"""Lesson 17: one forward and one backward through a whole network, 2 -> 3 -> 3, with all its gradients.

Exercise: `examples/exercises/17.py`. Live: `arraynn play --preset 17`.
"""

# %%
import numpy as np
from _lesson import caught, drawing, host, lesson, save, show

import arraynn as nn
from arraynn.testing import check_backward

backend, dtype, put = lesson()
xp = backend.xp

# %% [markdown]
# All parts together, on the spiral of 100 points a class, N = 300; the book's random stream, data then weights.
#
#     x (300, 2) -> dense -> z1 (300, 3) -> ReLU -> h (300, 3) -> dense -> z2 (300, 3) -> loss

# %%
rng = np.random.RandomState(0)
points, labels = nn.datasets.spiral(100, 3, seed=rng)
x, labels = put(points), backend.asarray(labels)
w1, b1 = put(0.01 * rng.randn(2, 3)), put(np.zeros(3))
w2, b2 = put(0.01 * rng.randn(3, 3)), put(np.zeros(3))

z1, dense1_backward = nn.dense(x, w1, b1)
h, relu_backward = nn.relu(z1)
z2, dense2_backward = nn.dense(h, w2, b2)
loss, loss_backward = nn.softmax_cross_entropy(z2, labels)
show("loss", loss, digits=6)
show("accuracy", nn.metrics.accuracy(z2, labels), digits=3)
# > loss = 1.098610
# > accuracy = 0.340

# %% [markdown]
# The loss is log 3 = 1.098612, up to some millionths: an untrained network gives each of three classes 1/3. Backward
# in mirror order. Each backward takes the gradient by its output and returns those by its inputs. need_dx=False
# leaves out dx of the first layer: nobody reads it.

# %%
dz2 = loss_backward()
dh, dw2, db2 = dense2_backward(dz2)
dz1 = relu_backward(dh)
_, dw1, db1 = dense1_backward(dz1, need_dx=False)
for name, gradient in (("dw1", dw1), ("db1", db1), ("dw2", dw2), ("db2", db2)):
    show(f"{name} x 1000", 1000 * gradient)
# > dw1 x 1000 (2, 3)
# >   0.1577   0.0784   0.0473
# >   0.1816   0.0110  -0.0331
# > db1 x 1000 (3,)
# >  -0.3606   0.0966  -0.1037
# > dw2 x 1000 (3, 3)
# >   0.0544   0.1074  -0.1618
# >  -0.0408  -0.0717   0.1125
# >  -0.0530   0.0858  -0.0328
# > db2 x 1000 (3,)
# >  -0.0107  -0.0094   0.0201

# %% [markdown]
# A Sequential is the same in one call forward and one back. Its parameters are a nest, a dict for each layer.

# %%
network = nn.Sequential(nn.Dense(3), nn.ReLU(), nn.Dense(3))
params = [{"weight": w1, "bias": b1}, {}, {"weight": w2, "bias": b2}]
outputs, network_backward = network(params, x)
_, grads = network_backward(nn.softmax_cross_entropy(outputs, labels)[1](), need_dx=False)
pairs = zip(nn.tree.leaves(grads), (dw1, db1, dw2, db2), strict=True)
print(*nn.tree.paths(grads), "equal:", all(float(xp.max(xp.abs(a - b))) < 1e-9 for a, b in pairs))
# > 0.weight 0.bias 2.weight 2.bias equal: True


# %% [markdown]
# The common mistake: ReLU's mask is made from the gradients that come in, dy > 0, not from its inputs, x > 0. Then
# what should flow is cut where it is negative, and neurons that were off are moved. The loss often falls all the
# same. In the network, the check finds the gradients of layer 0, before the ReLU, wrong, and those of layer 2 right.


# %%
class ReLUMaskedByGradient(nn.Activation):
    def function(self, x):
        return nn.relu(x)[0], lambda dy: dy * xp.astype(dy > 0, dy.dtype)


some = put(np.random.default_rng(0).standard_normal((5, 2)))
check_backward(network, some)
caught(nn.Sequential(nn.Dense(3), ReLUMaskedByGradient(), nn.Dense(3)), some)
# > Sequential: the gradient of '0.weight' is wrong, at 6 of 6 elements, most at [0, 2]: expected -0.01639, got
# >     1.737 (0.weight[0, 2] = -1.037)
# > the gradient of '0.bias' is wrong, at 3 of 3 elements, most at [2]: expected 0.03059, got 3.57 (0.bias[2] =
# >     0.03515)
# > dx is wrong, at 10 of 10 elements, most at [1, 0]: expected -0.09983, got -2.278 (x[1, 0] = 0.6404)
# >   (the gradient of '2.weight', the gradient of '2.bias': right)

# %%
if figure := drawing(3, width=2.6, height=2.4):
    for axes, (name, array) in zip(figure.axes, (("h", h), ("dz2", dz2), ("dz1", dz1)), strict=True):
        values = host(array) / np.max(np.abs(host(array)))
        figure.colorbar(axes.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"))
        axes.set(title=f"{name} / max |{name}|", xlabel="column", ylabel="row", xticks=range(3))
    save(figure)
