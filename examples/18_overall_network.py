"""Lesson 18: network, loss, accuracy, and the training loop.

Exercise: `examples/exercises/18.py`. Live: `arraynn play --preset 18`.
"""

# %%
import numpy as np
from _lesson import drawing, lesson, report, save

import arraynn as nn
from arraynn import plot

backend, dtype, put = lesson()

# %% [markdown]
# The spiral again, 100 points a class. The network is a description without arrays; `init` draws its parameters.
# x (300, 2) goes in, logits (300, 3) come out: the loss takes logits, so there is no softmax at the end. One there, and
# the loss would take the softmax of numbers in [0, 1], and could never fall below log(1 + 2/e) = 0.551.

# %%
rng = np.random.RandomState(0)  # the book's stream: data first, then weights
points, classes = nn.datasets.spiral(100, 3, seed=rng)
x, labels = put(points), backend.asarray(classes)
small = nn.initializers.normal(0.01)
network = nn.Sequential(nn.Dense(64, weight_initializer=small), nn.ReLU(), nn.Dense(3, weight_initializer=small))
start, output_shape = network.init(rng, (2,), dtype)
print(network.summary((2,), dtype))
print("numbers to learn:", sum(leaf.size for leaf in nn.tree.leaves(start)))
print(f"softmax twice: loss at least {np.log(1 + 2 / np.e):.3f}")
# > numbers to learn: 387
# > softmax twice: loss at least 0.551

# %% [markdown]
# One step is: forward, loss, backward, penalty, clipping, update. make_train_step puts it together; the loop is
# yours. A step uses up params and state, so they are replaced by what it returns. `key` is the randomness of dropout.
# The loss it reports was taken before its update.

# %%
optimizer = nn.Adam(nn.InverseTimeDecay(0.02, decay=1e-5), epsilon=1e-7)
params = nn.put(start, like=x)
state = optimizer.init(params)
step = nn.make_train_step(network, nn.softmax_cross_entropy, optimizer)
losses = []
for _ in range(201):
    params, state, logs = step(params, state, (x, labels, None), nn.Key(0))
    losses.append(float(logs["data_loss"]))
outputs, _ = network(params, x)
print(f"loss {losses[0]:.3f}, {losses[100]:.3f}, {losses[200]:.3f}")
print(f"accuracy after 201 updates {nn.metrics.accuracy(outputs, labels):.3f}")
# > loss 1.099, 0.769, 0.553
# > accuracy after 201 updates 0.797

# %% [markdown]
# A Model keeps params, state and history, and has the loop. The same start and the same steps give the same losses.

# %%
model = nn.Model(network, nn.softmax_cross_entropy, optimizer, backend=backend, dtype=dtype)
model.build((2,))
model.set_params(start)
history = model.fit(points, classes, epochs=201, batch_size=None, verbose=0)
report(history, (0, 100, 200))
print("the loop's losses:", np.allclose(history["loss"], losses, rtol=1e-4))
# > epoch    0 accuracy 0.360 loss 1.099
# > epoch  100 accuracy 0.683 loss 0.769
# > epoch  200 accuracy 0.797 loss 0.553
# > the loop's losses: True

# %% [markdown]
# The common mistakes are those of the whole: no training loop at all (the figures stay at 1/3 and log 3 = 1.099), no
# seed (no two runs agree), and a figure taken on the training points and called the network's. The check for the last
# is data that the training has not seen.

# %%
print(f"untrained: loss {np.log(3):.3f}")
model.fit(points, classes, epochs=800, batch_size=None, verbose=0)
fresh = nn.datasets.spiral(100, 3, seed=1)
for name, data in (("seen", (points, classes)), ("fresh", fresh)):
    measured = model.evaluate(*data)
    print(f"{name:5} points: accuracy {measured['accuracy']:.2f}, loss {measured['loss']:.2f}")
print("seen points do better:", model.evaluate(points, classes)["loss"] < model.evaluate(*fresh)["loss"])
print("the middle point of each class:", *model.predict(points[50::100]))
# > untrained: loss 1.099
# > seen points do better: True

if drawing():
    save(plot.boundary(model, points, classes, resolution=120), dpi=80)
