"""Lesson 19: convolution by hand, its backward, and LeNet on handwritten digits.

Exercise: `examples/exercises/19.py`.
"""

# %%
import os
from pathlib import Path

import numpy as np
from _lesson import caught, drawing, host, lesson, save, show, tiles

import arraynn as nn

backend, dtype, put = lesson()

# %% [markdown]
# A dense layer has a weight for each pixel, and learns a stroke anew at each place. A convolution has one small window
# of weights, its kernel, and looks with it at every place:
#
#     y[r, c] = Σ_ij x[r + i, c + j] w[i, j] + b
#
# A kernel (1, -1) beside each other measures the step from a pixel to its right neighbour: it finds upright edges.
# Images are (N, H, W, C), channels last; kernels are (kh, kw, C, filters).

# %%
image = np.asarray([[0, 0, 3, 3], [0, 0, 3, 3], [0, 3, 3, 3]], float)
kernel = np.asarray([[1, -1], [1, -1]], float)
y = np.asarray([[(image[r : r + 2, c : c + 2] * kernel).sum() for c in range(3)] for r in range(2)])
x, w = put(image.reshape(1, 3, 4, 1)), put(kernel.reshape(2, 2, 1, 1))
block, backward = nn.conv2d(x, w, put([0.0]))
show("by hand", y, digits=1)
print("conv2d gives the same:", np.array_equal(host(block)[0, :, :, 0], y))
# > by hand (2, 3)
# >   0.0  -6.0   0.0
# >  -3.0  -3.0   0.0
# > conv2d gives the same: True

# %% [markdown]
# Each window's numbers side by side are a row of a matrix, the patches P. Then y is a product, y = P w, as in a dense
# layer, and so is the gradient of w: dw = Pᵀ dy. A pixel lies in several windows, so it has several rows of P, and its
# gradient is the sum over all of them: dx[r + i, c + j] += w[i, j] dy[r, c].

# %%
patches = np.asarray([image[r : r + 2, c : c + 2].reshape(-1) for r in range(2) for c in range(3)])
dy = np.asarray([[1, 0, 2], [0, 1, 0]], float)
dw, dx = patches.T @ dy.reshape(-1), np.zeros_like(image)
for r in range(2):
    for c in range(3):
        dx[r : r + 2, c : c + 2] += kernel * dy[r, c]
ours = [host(part) for part in backward(put(dy.reshape(1, 2, 3, 1)))]
show("dx by hand", dx, digits=1)
print("dw by hand:", *dw)
print("both as conv2d's:", np.allclose(ours[0].ravel(), dx.ravel()), np.allclose(ours[1].ravel(), dw))
# > dx by hand (3, 4)
# >   1.0  -1.0   2.0  -2.0
# >   1.0   0.0   1.0  -2.0
# >   0.0   1.0  -1.0   0.0
# > dw by hand: 6.0 9.0 9.0 9.0
# > both as conv2d's: True True

# %% [markdown]
# Max pooling keeps the largest number of each window, and its backward gives dy to the place that it came from.

# %%
pooled, pool_backward = nn.max_pool2d(put(image[:2].reshape(1, 2, 4, 1)), 2)
dx = pool_backward(put([[[[5.0], [7.0]]]]))
print("pooled:", *host(pooled).ravel(), "dx:", *host(dx).ravel())
# > pooled: 0.0 3.0 dx: 5.0 0.0 7.0 0.0 0.0 0.0 0.0 0.0

# %% [markdown]
# The common mistake: the gradient of a pixel is written, not added, so that the last window that looks at it wins.


# %%
def written(x):
    own = nn.put({"w": w, "b": put([0.0])}, like=x)
    y, _ = nn.conv2d(x, own["w"], own["b"])

    def written_backward(dy):
        dy, dx = host(dy), np.zeros((1, 3, 4, 1), host(x).dtype)
        for r in range(2):
            for c in range(3):
                dx[:, r : r + 2, c : c + 2] = kernel.reshape(1, 2, 2, 1) * dy[:, r : r + 1, c : c + 1]  # should be +=
        return nn.put(dx, like=x)

    return y, written_backward


caught(written, x)

# %% [markdown]
# LeNet (LeCun and others, 1998): convolutions find strokes, poolings forget where exactly, a dense layer decides.
# On the 8 × 8 digits that arraynn ships, so with small kernels and widths.

# %%
network = nn.Sequential(
    *(nn.Reshape((8, 8, 1)), nn.Conv2D(8, 3, padding="same"), nn.ReLU(), nn.MaxPool2D(2)),
    *(nn.Conv2D(16, 3, padding="same"), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(10)),
)
images, labels, tests, answers = nn.datasets.digits()
model = nn.Model(network, optimizer=nn.Adam(0.01), backend=backend, dtype="float32", seed=0)
history = model.fit(images, labels, epochs=8, batch_size=50, verbose=0)
print(model.summary().splitlines()[-1])
print(f"training loss {history['loss'][0]:.2f} to {history['loss'][-1]:.3f}")
accuracy = model.evaluate(tests, answers)["accuracy"]
print(f"accuracy on images it has not seen: {accuracy:.3f}")
print("above 0.94:", accuracy > 0.94)
# > above 0.94: True

# %% [markdown]
# What the first convolution has learnt: eight kernels, and what each finds in one digit, behind the ReLU. Some answer
# to edges of one direction, some to the body of a stroke.

# %%
if figure := drawing(3, width=2.6, height=2.2):
    first = nn.Sequential(*network.layers[:3])
    found = host(first(model.params[:3], backend.asarray(tests[:1], "float32"))[0])[0]
    kernels = host(model.params[1]["weight"])[:, :, 0]
    widest = np.max(np.abs(kernels))
    digit, middle, right = figure.axes
    digit.imshow(tests[0].reshape(8, 8), cmap="Greys")
    digit.set(title=f"a {answers[0]}")
    middle.imshow(tiles(kernels.transpose(2, 0, 1), 4), cmap="RdBu_r", vmin=-widest, vmax=widest)
    middle.set(title="eight kernels, 3 × 3")
    right.imshow(tiles(found.transpose(2, 0, 1), 4), cmap="Greys")
    right.set(title="what each finds in it")
    for axes in figure.axes:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    save(figure)

# %% [markdown]
# The same network learns MNIST, whose images are 28 × 28, where it is at hand: here one pass over 2,000 of its images.
# `arraynn train mnist --network lenet` trains LeNet's own widths, on all of them.

# %%
if Path(os.environ.get("ARRAYNN_DATA", ""), "mnist").is_dir():
    images, labels, tests, answers = nn.datasets.mnist(flatten=False)
    network = nn.Sequential(nn.Reshape((28, 28, 1)), *network.layers[1:])
    model = nn.Model(network, optimizer=nn.Adam(0.005), backend=backend, dtype="float32", seed=0)
    model.fit(images[:2000], labels[:2000], epochs=1, batch_size=50, verbose=0)
    print(f"MNIST after 2,000 images: accuracy {model.evaluate(tests[:1000], answers[:1000])['accuracy']:.3f}")
