"""Lesson 6: cross-entropy, and its gradient: dp = -onehot / p / N.

Exercise: `examples/exercises/06.py`. Live: `arraynn play --preset 06`.
"""

# %%
import numpy as np
from _lesson import COLOURS, caught, drawing, host, lesson, save, show

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# Three rows of probabilities, as a softmax gives them, and the class that each row really has. The loss of a row is
# -log of the probability that it gave to the true class: 0 if that was 1, large if it was small. The loss of the
# batch is the mean. The unit is nats, since log is the natural logarithm.

# %%
p = put([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]])
labels = backend.asarray([0, 1, 1])
loss, loss_backward = nn.cross_entropy(p, labels)
for row, label in zip(host(p), host(labels), strict=True):
    print(f"p of the true class {row[label]:.1f}, -log p = {-np.log(row[label]):.4f}")
show("loss", loss)
# > p of the true class 0.7, -log p = 0.3567
# > p of the true class 0.5, -log p = 0.6931
# > p of the true class 0.9, -log p = 0.1054
# > loss = 0.3851

# %% [markdown]
# Backward. Forward was loss = -(1/N) Σ_i Σ_k t[i, k] log p[i, k], where t is 1 at the true class ("one-hot"), else 0.
# d(-log p)/dp = -1/p, so dp = -t / p / N, in the shape of p. Only the true class's p counts: the others get 0. First
# row: -1 / 0.7 / 3 = -0.4762. A smaller p has a steeper slope: 0.5 gives -0.6667.

# %%
dp = loss_backward()
show("dp", dp)
# > dp (3, 3)
# >  -0.4762   0.0000   0.0000
# >   0.0000  -0.6667   0.0000
# >   0.0000  -0.3704   0.0000

# %% [markdown]
# Labels may also be rows of probabilities (N, K). One-hot rows give the same.

# %%
same, _ = nn.cross_entropy(p, put([[1, 0, 0], [0, 1, 0], [0, 1, 0]]))
show("loss with one-hot labels", same)
# > loss with one-hot labels = 0.3851

# %% [markdown]
# The common mistake: /N is left out backward. Then the step grows with the batch: the learning rate that was right
# for 3 rows is a hundred times too large for 300. The numbers look plausible; the check sees the factor.


# %%
def cross_entropy_without_n(p):
    loss, backward = nn.cross_entropy(p, labels)
    return loss, lambda dloss=1.0: backward(dloss) * p.shape[0]


caught(cross_entropy_without_n, p)
# > cross_entropy_without_n: dp is wrong, at 3 of 9 elements, most at [1, 1]: expected -0.758, got -2.274 (p[1, 1]
# >     = 0.5)
# >   it is off by a constant factor 3, the number of rows: is it a sum instead of a mean?

# %% [markdown]
# Another mistake is one of form: a loss class that inherits from a base class which the file does not define. Python
# says so only when the line is run; a script that nobody ran carries it for years. Run your examples. In arraynn a
# loss is a function, and needs no base.

# %%
try:

    class CategoricalCrossentropy(LossBase):
        pass
except NameError as error:
    print(f"NameError: {error}")
# > NameError: name 'LossBase' is not defined

# %% [markdown]
# And log(0) is infinite: a p of exactly 0 would end the training. arraynn clips p to [1e-7, 1 - 1e-7], as the book
# does. Better is not to need it: lesson 8 goes from logits to the loss in one step, without any log of a 0.

# %%
show("loss of p = 0", nn.cross_entropy(put([[0.0, 1.0]]), labels[:1])[0])
# > loss of p = 0 = 16.1181

# %%
if figure := drawing(2):
    left, right = figure.axes
    a = np.linspace(0.02, 1, 200)
    left.plot(a, -np.log(a), color=COLOURS[0])
    left.set(title="loss of a row, -log p", xlabel="p of the true class")
    right.plot(a, -1 / a, color=COLOURS[4])
    right.set(title="its slope, -1/p", xlabel="p of the true class", ylim=(-20, 1))
    save(figure)
