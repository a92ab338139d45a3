"""Lesson 22: a network that PyTorch trained is taken over, fine-tuned on new classes, and exported to ONNX.

Exercise: `examples/exercises/22.py`.
"""

# %%
import sys
from tempfile import TemporaryDirectory

import numpy as np
from _lesson import drawing, host, lesson, refused, save, tiles

import arraynn as nn
from arraynn import interop

try:
    import onnxruntime
    import torch
except ImportError as error:
    print(f'this lesson needs PyTorch, onnx and onnxruntime: {error} (pip install "arraynn[torch,onnx]" onnxruntime)')
    sys.exit(0)

backend, dtype, put = lesson()

# %% [markdown]
# Networks that others trained know much already. Here the lesson plays both parts. First it is somebody with PyTorch
# and many images of the digits 0 to 4. PyTorch's images are (N, C, H, W): channels first.

# %%
images, labels, tests, answers = nn.datasets.digits()
images, tests = (x.reshape(-1, 8, 8).astype("float32") for x in (images, tests))
torch.manual_seed(0)
module = torch.nn.Sequential(
    *(torch.nn.Conv2d(1, 12, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)),
    *(torch.nn.Conv2d(12, 24, 3, padding=1), torch.nn.BatchNorm2d(24), torch.nn.ReLU(), torch.nn.MaxPool2d(2)),
    *(torch.nn.Flatten(), torch.nn.Linear(96, 5)),
)
optimizer = torch.optim.Adam(module.parameters(), 0.005)
x, y = torch.tensor(images[labels < 5])[:, None], torch.tensor(labels[labels < 5]).long()
for _ in range(100):
    rows = torch.randint(0, len(x), (64,))
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
    optimizer.step()
module.eval()

# %% [markdown]
# from_torch gives a network and its weights. The network takes the same x as the module: it begins with a Permute that
# puts channels last, and turns back before Flatten, whose order of numbers the last weights were trained on.

# %%
network, weights = interop.from_torch(module)
weights = nn.tree.map(host, weights)
print(", ".join(type(layer).__name__ for layer in network))
given = tests[:100, None]
theirs, ours = module(torch.tensor(given)).detach().numpy(), network(weights, given)[0]
print("equal outputs:", np.allclose(theirs, ours, atol=1e-4))
# > Permute, Conv2D, ReLU, MaxPool2D, Conv2D, BatchNorm, ReLU, MaxPool2D, Permute, Flatten, Dense
# > equal outputs: True

# %% [markdown]
# The mistake that everybody makes once: images with their channels in the other place. Where numbers do not fit, it is
# told; where they do, nothing but a wrong answer tells it, so look at the shapes first.

# %%
refused(nn.ShapeError, lambda: network(weights, tests[:2, :, :, None]))

# %% [markdown]
# Now the others: they have ten images of each of the digits 5 to 9. Too few to learn strokes from, enough to tell five
# classes apart by strokes that are known. The pretrained layers are frozen: they stay as they are, BatchNorm's running
# means too, and no gradient is computed for them. A new last layer is trained.

# %%
few = np.concatenate([np.flatnonzero(labels == digit)[:10] for digit in range(5, 10)])
x, y = images[few][:, None], labels[few] - 5
x_new, y_new = tests[answers > 4][:, None], answers[answers > 4] - 5


def trained(first, known=None):
    model = nn.Model(
        nn.Sequential(first, nn.Dense(5)), optimizer=nn.Adam(0.01), backend=backend, dtype="float32", seed=0
    )
    model.build((1, 8, 8))
    if known is not None:
        model.params = [{"statistics": known}, model.params[1]]
    model.fit(x, y, epochs=60, batch_size=25, verbose=0)
    return model


body = network[:-1]
model = trained(nn.Freeze(body), weights[:-1])
kept = nn.tree.leaves(nn.tree.map(host, model.params[0]["statistics"]))
print(
    "frozen weights stay:", all(np.array_equal(a, b) for a, b in zip(kept, nn.tree.leaves(weights[:-1]), strict=True))
)
print(
    "numbers to train:",
    sum(
        leaf.size
        for leaf in nn.tree.leaves(nn.tree.trained(model.network.init(np.random.default_rng(0), (1, 8, 8))[0]))
    ),
)
accuracy = model.evaluate(x_new, y_new)["accuracy"]
unknown = trained(nn.Freeze(body)).evaluate(x_new, y_new)["accuracy"]
print(f"accuracy on new digits: {accuracy:.2f} with pretrained layers, {unknown:.2f} with untrained ones")
print("above 0.8:", accuracy > 0.8)
# > frozen weights stay: True
# > numbers to train: 485
# > above 0.8: True

# %%
if figure := drawing(2, width=3, height=2.6):
    left, right = figure.axes
    left.imshow(tiles(x[:, 0], 10), cmap="Greys")
    left.set(title="all that it learns from")
    counts = np.asarray(nn.metrics.confusion_matrix(y_new, host(model.predict(x_new))))
    right.imshow(counts, cmap="Blues")
    for (i, j), count in np.ndenumerate(counts):
        right.text(
            j, i, f"{count:.0f}", ha="center", va="center", color="white" if count > counts.max() / 2 else "black"
        )
    right.set(title="new digits", xlabel="answer", ylabel="truth")
    for axis in (right.xaxis, right.yaxis, left.yaxis):
        axis.set_ticks([4 + 9 * i for i in range(5)] if axis is left.yaxis else range(5), range(5, 10))
    left.set(xticks=[])
    save(figure)

# %% [markdown]
# Exported to ONNX, it runs wherever there is a runtime for it, without arraynn.

# %%
with TemporaryDirectory() as folder:
    interop.to_onnx(model, f"{folder}/digits.onnx")
    session = onnxruntime.InferenceSession(f"{folder}/digits.onnx", providers=["CPUExecutionProvider"])
    probabilities = session.run(["probabilities"], {"x": x_new})[0]
print("the runtime agrees:", np.allclose(probabilities, host(model.predict_proba(x_new)), atol=1e-4))
# > the runtime agrees: True
