"""What the lessons share: the backend asked for, numbers printed, pictures saved. It is no part of arraynn.

Every lesson takes --backend (numpy, torch, jax, array_api_strict, cupy, …) and --images, the folder for its picture.
"""

import argparse
import io
import os
import re
import sys
import textwrap
from pathlib import Path

import numpy as np

import arraynn as nn
from arraynn.plot import COLOURS as COLOURS
from arraynn.testing import check_backward


def arguments():
    parser = argparse.ArgumentParser(description=getattr(sys.modules["__main__"], "__doc__", None))
    parser.add_argument("--backend", default="numpy", help="numpy (the default), torch, jax, array_api_strict, cupy, …")
    parser.add_argument("--images", default=".", help="folder for the picture (the current one)")
    return parser.parse_args([] if "ipykernel" in sys.modules else None)  # a notebook's arguments are its kernel's


def lesson():
    """(backend, dtype, put): the backend, its widest float dtype, and put(values) -> float array there.

    float64 where there is one: its rounding stays out of sight long enough for the digits stated to be everyone's.
    """
    name = arguments().backend
    if name.partition(":")[0] == "jax":
        os.environ.setdefault("JAX_ENABLE_X64", "1")  # read when JAX is imported
    try:
        backend = nn.backend(name)
    except nn.BackendUnavailable as error:
        sys.exit(str(error))
    try:
        dtype = str(backend.dtype("float64")) and "float64"
    except nn.BackendUnavailable:
        dtype = "float32"
    return backend, dtype, lambda values: backend.asarray(values, dtype)


def host(x):
    """An array of any library as a NumPy one; numbers as they are."""
    return nn.backend(x).to_numpy(x) if hasattr(x, "shape") else x


def show(name, x, digits=4, rows=None):
    """Print a number or an array: its shape, then row by row, at most the first `rows`."""
    x = np.round(np.asarray(host(x), dtype=float), digits) + 0.0  # -0.0 + 0.0 is 0.0
    if x.ndim == 0:
        print(f"{name} = {x:.{digits}f}")
        return
    print(f"{name} {x.shape}")
    for row in x.reshape(-1, x.shape[-1])[:rows]:
        print(" ".join(f"{value:{digits + 4}.{digits}f}" for value in row))


def caught(block, *args, **kwargs):
    """Print what check_backward says of a wrong block, numbers rounded, lines wrapped. Not to be caught is an error."""
    try:
        check_backward(block, *args, **kwargs)
    except AssertionError as error:
        said(re.sub(r"-?\d+\.\d+(e[-+]\d+)?", lambda found: f"{float(found[0]):.4g}", str(error)))
    else:
        raise SystemExit(f"check_backward found nothing wrong with {block}")


def refused(kind, call):
    """Print the first line of the error that call() raises. Not to be refused is an error."""
    try:
        call()
    except kind as error:
        said(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    else:
        raise SystemExit(f"{call} was not refused")


def said(message):
    for line in message.splitlines():
        print(textwrap.fill(line, 110, subsequent_indent="    "))


def report(history, epochs, names=("accuracy", "loss")):
    """Print some epochs of a history, to three digits."""
    for epoch in epochs:
        print(f"epoch {epoch:4}", *(f"{name} {history[name][epoch]:.3f}" for name in names))


def drawing(columns=1, width=3.6, height=3.2):
    """A figure with a row of axes, made without a screen; None, and a line that says so, without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: matplotlib is not installed (pip install "arraynn[plot]")')
        return None
    figure = Figure(figsize=(width * columns, height), dpi=90, layout="constrained", facecolor="white")
    for axes in figure.subplots(1, columns, squeeze=False)[0]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure


def tiles(images, columns):
    """Images (N, H, W), side by side as one, with a line of nan between them; N is a multiple of columns."""
    count, height, width = images.shape
    rows = np.pad(images, ((0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    rows = rows.reshape(count // columns, columns, height + 1, width + 1).swapaxes(1, 2)
    return rows.reshape(count // columns * (height + 1), -1)[:-1, :-1]


def save(figure, name=None, dpi=90):
    """Write the figure as NAME.png, the lesson's own name where none is given; in a notebook, show it too."""
    from PIL import Image  # matplotlib brings it

    name = name or Path(getattr(sys.modules["__main__"], "__file__", "lesson")).stem
    path = Path(arguments().images, f"{name}.png")
    figure.savefig(drawn := io.BytesIO(), dpi=dpi)
    Image.open(drawn).convert("RGB").quantize(dither=Image.Dither.NONE).save(path, optimize=True)  # a third of the size
    print(f"picture: {path}")
    if "ipykernel" in sys.modules:
        from IPython.display import Image as Shown
        from IPython.display import display

        display(Shown(filename=str(path)))
