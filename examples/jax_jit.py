"""arraynn in JAX: a training step under jax.jit, and blocks that jax.grad takes. Says so where JAX is missing.

A block is `y, backward = block(x)`, and this is just what jax.custom_gradient asks for. So a block becomes a JAX
function, with its hand-written backward, without a line in between.
"""

import os
import sys

os.environ.setdefault("JAX_ENABLE_X64", "1")  # so that the comparisons below can be sharp
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    print('this lesson needs JAX: pip install "arraynn[jax]"')
    sys.exit()

import numpy as np

import arraynn as nn

# %% One step, compiled. Parameters are a nest of arrays, which JAX calls a pytree.
points, classes = nn.datasets.spiral(samples=100, classes=3, seed=0, dtype="float64")
x, labels = jnp.asarray(points), jnp.asarray(classes)
network = nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(3))
start, _ = network.init(np.random.default_rng(0), (2,), "float64")


def step(params, x, labels):
    """Plain gradient descent. No float(), no branch on a value: so it can be traced."""
    logits, backward = network(params, x)
    loss, loss_backward = nn.softmax_cross_entropy(logits, labels)
    _, grads = backward(loss_backward(), need_dx=False)
    return nn.tree.map(lambda p, g: p - 0.5 * g, params, grads), loss


def run(step):
    params, losses = nn.put(start, like=x), []
    for _ in range(100):
        params, loss = step(params, x, labels)
        losses.append(loss)
    return [float(loss) for loss in losses]


plain, compiled = run(step), run(jax.jit(step))
print(f"loss {compiled[0]:.3f} -> {compiled[-1]:.3f}")
print("with and without jit equal:", np.allclose(plain, compiled, rtol=1e-9))
# > with and without jit equal: True

# %% make_train_step compiles itself on JAX arrays: optimizer, penalty and clipping included. Nothing is to be added.
optimizer = nn.Adam(learning_rate=0.02)
params = nn.put(start, like=x)
state = optimizer.init(params)
train_step = nn.make_train_step(network, nn.softmax_cross_entropy, optimizer)
for _ in range(100):
    params, state, logs = train_step(params, state, (x, labels, None), nn.Key(0))
print(f"Adam: loss {float(logs['data_loss']):.3f}")

# %% A block under jax.grad: JAX differentiates all around it, and calls its own backward for it.
gelu = jax.custom_gradient(nn.gelu)
dense = jax.custom_gradient(nn.dense)
w, b = jnp.asarray(np.random.default_rng(1).standard_normal((2, 4))), jnp.zeros(4)


def ours(w):
    return jnp.mean(jnp.sin(gelu(dense(x, w, b))))


def theirs(w):
    return jnp.mean(jnp.sin(nn.gelu(nn.dense(x, w, b)[0])[0]))  # forward only: JAX derives the backward by itself


print("custom_gradient equals JAX's own:", np.allclose(jax.grad(ours)(w), jax.grad(theirs)(w), rtol=1e-9))
print("and under jit:", np.allclose(jax.jit(jax.grad(ours))(w), jax.grad(theirs)(w), rtol=1e-9))
# > custom_gradient equals JAX's own: True
# > and under jit: True

# %% The same by jax.custom_vjp, which passes arrays, not functions, from forward to backward: so forward is done anew
# there. Under jit the compiler merges the two.
softmax = jax.custom_vjp(lambda z: nn.softmax(z)[0])
softmax.defvjp(lambda z: (nn.softmax(z)[0], z), lambda z, dy: (nn.softmax(z)[1](dy),))
z = jnp.asarray(np.random.default_rng(2).standard_normal((5, 3)))


def score(softmax, z):
    return jnp.sum(softmax(z) ** 2)


expected = jax.grad(lambda z: score(jax.nn.softmax, z))(z)
print("custom_vjp equals jax.nn.softmax:", np.allclose(jax.jit(jax.grad(lambda z: score(softmax, z)))(z), expected))
# > custom_vjp equals jax.nn.softmax: True
