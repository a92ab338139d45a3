"""arraynn inside a project of your own: your arrays, your loop, no Model.

One function trains on whatever library x is of: NumPy, PyTorch, or array-api-strict on its second device, which refuses
all that is not in the standard. The losses agree, since the start, the order and the dropout masks are the same.
"""

import importlib.util

import numpy as np

import arraynn as nn

network = nn.Sequential(nn.Dense(32, weight_regularizer=nn.L2(1e-4)), nn.ReLU(), nn.Dropout(0.1), nn.Dense(3))
optimizer = nn.Adam(learning_rate=0.02)


def train(x, labels, steps=200):
    """(params, losses). x : (N, 2) floats, labels : (N,) integers, of one library and on one device."""
    start, _ = network.init(
        np.random.default_rng(0), input_shape=(2,), dtype="float64"
    )  # host arrays: one start for all
    params = nn.put(start, like=x)  # to the library, the device and the dtype of x
    state = optimizer.init(params)
    step = nn.make_train_step(network, nn.softmax_cross_entropy, optimizer, clip_norm=1.0)
    losses = []
    for _ in range(steps):
        params, state, logs = step(params, state, (x, labels, None), nn.Key(0))
        losses.append(logs["data_loss"])  # stays where it is: float() here would wait for the device at each step
    return params, [float(loss) for loss in losses]


def validate(params, x, labels):
    """The loss without dropout. No key is inference."""
    logits, _ = network(params, x)
    return float(nn.softmax_cross_entropy(logits, labels)[0])


points, classes = nn.datasets.spiral(samples=100, classes=3, seed=0, dtype="float64")
fresh_points, fresh_classes = nn.datasets.spiral(samples=100, classes=3, seed=1, dtype="float64")
results = {}

# NumPy
params, results["numpy"] = train(points, classes)
print("leaves:", *nn.tree.paths(params))
print("numbers to learn:", sum(leaf.size for leaf in nn.tree.leaves(params)))
print(f"numpy: loss {results['numpy'][0]:.3f} -> {results['numpy'][-1]:.3f},", end=" ")
print(f"on fresh points {validate(params, fresh_points, fresh_classes):.3f}")
# > leaves: 0.weight 0.bias 3.weight 3.bias
# > numbers to learn: 195

# array-api-strict, on a device that is not the default: whatever forgets `device=` fails here
if importlib.util.find_spec("array_api_strict"):
    import array_api_strict as strict

    there = strict.Device("device1")
    params, results["strict"] = train(strict.asarray(points, device=there), strict.asarray(classes, device=there))
    print("array_api_strict: the weights are on", nn.tree.leaves(params)[0].device)

# PyTorch. Steps run without autograd: each block brings its own backward.
if importlib.util.find_spec("torch"):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    params, results["torch"] = train(torch.from_numpy(points).to(device), torch.from_numpy(classes).to(device))
    print("torch: the weights are", type(nn.tree.leaves(params)[0]).__name__, "on", device)

    # the weights move as easily: what PyTorch has trained, NumPy evaluates
    moved = nn.put(params, like=points)
    print(f"torch's weights in NumPy: on fresh points {validate(moved, fresh_points, fresh_classes):.3f}")

print("trained on:", *results)
print("all 200 losses agree:", all(np.allclose(losses, results["numpy"], rtol=1e-6) for losses in results.values()))
# > all 200 losses agree: True
