"""Matplotlib figures: `curves` of a history, decision `boundary` of a model, and `learning_rate_range`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._array import is_array
from .._hyperparameters import is_integer, python_number
from ..backends import of
from ..errors import DataError, ShapeError

# After Wong, Nature Methods 8, 2011: colours that the colour-blind can distinguish; those that mix best come first.
COLOURS = ("#0072B2", "#E69F00", "#C2407E", "#009E73", "#D55E00", "#56B4E9", "#8C6BB1", "#B8A000", "#7F7F7F", "#4D4D4D")
TRAINING, VALIDATION, INK, FAINT = "#0072B2", "#D55E00", "#333333", "#8a8a8a"
MOST_POINTS = 5000  #: points of a data set that are drawn, at most; more would hide the background
DPI = 144


def curves(history: Mapping[str, Sequence[float]]) -> Any:
    """Plot loss and metrics over the epochs, one panel each. Returns a matplotlib Figure.

    history : what `Model.fit` returns. The validation line connects the epochs in which it was measured (not nan).
        Where there is a penalty, the loss without it is drawn too. A loss that falls to less than a hundredth has a
        logarithmic axis.
    Raises DataError for a history without an epoch; ImportError without matplotlib.
    """
    figure = _figure()
    if not any(len(values) for values in history.values()):
        raise DataError("the history is empty, so there is nothing to draw; fit the model first")
    parts = ("loss", "data_loss", "penalty", "learning_rate")
    metrics = [name for name in history if name not in parts and not name.startswith("val_")]
    panels = [name for name in ("loss", *metrics) if name in history]
    figure.set_size_inches(5.2 * len(panels), 4.0)
    for axes, name in zip(np.ravel(figure.subplots(1, len(panels), squeeze=False)), panels, strict=True):
        _style_axes(axes, name.replace("_", " ").replace("r2", "R²"), "epoch", "")
        _curve(axes, history[name], TRAINING, "training")
        if name == "loss" and any(value > 0 for value in history.get("penalty", ())):
            _curve(axes, history["data_loss"], TRAINING, "training, without penalty", dashed=True)
        if f"val_{name}" in history:
            _curve(axes, history[f"val_{name}"], VALIDATION, "validation")
        drawn = [[v for v in history.get(key, ()) if math.isfinite(v)] for key in (name, f"val_{name}")]
        _scale(axes, name, [values for values in drawn if values])
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="best")
    return figure


def boundary(model: Any, x: Any, y: Any, *, resolution: int = 300) -> Any:
    """Plot a model's decision regions or predicted values, and the data points. Returns a matplotlib Figure.

    x : (N, 2), or (N, 1); y : targets as for `fit`.
        Two inputs: a classifier's decision regions, paler where the probability is lower, with the points in their
        classes' colours; a regression's predictions as colours. One input: curves of probabilities or of predictions.
        At most 5000 evenly spaced points are drawn.
    resolution : points along each axis at which the model is evaluated, at least 2.
    Raises ShapeError for other inputs, DataError for empty ones or another resolution; ImportError without matplotlib.
    """
    figure = _figure()
    resolution = python_number(resolution)
    if not is_integer(resolution, 2):
        raise DataError(f"resolution must be an integer of at least 2, such as 300, got {resolution!r}")
    x, y = _host(x), _host(y)
    if x.ndim != 2 or x.shape[1] not in (1, 2):
        raise ShapeError(f"boundary draws models of one or two inputs, x of shape (N, 1) or (N, 2), got {x.shape}")
    if len(x) != len(y) or not len(x):
        raise DataError(f"boundary needs at least one point and a target for each, got {len(x)} and {len(y)}")
    rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().astype(int))
    x, y = x[rows], y[rows]
    classes = model.loss.targets in ("classes", "binary")
    draw = {
        (True, 2): _regions,
        (True, 1): _probabilities,
        (False, 2): _surface,
        (False, 1): _function,
    }[classes, x.shape[1]]
    draw(figure, model, x, y, resolution)
    return figure


def learning_rate_range(found: Any) -> Any:
    """Plot the loss over the learning rate of a range test, and the suggested rate. Returns a matplotlib Figure.

    found : what `nn.learning_rate_range` returns. The axis of the rates is logarithmic.
    Raises ImportError without matplotlib.
    """
    figure = _figure()
    axes = figure.subplots()
    _style_axes(axes, "learning-rate range test", "learning rate", "loss")
    axes.plot(found.rates, found.losses, color=FAINT, linewidth=0.8, label="loss of a step")
    axes.plot(found.rates, found.smoothed, color=TRAINING, linewidth=1.8, label="smoothed")
    axes.axvline(found.suggestion, color=VALIDATION, linestyle=(0, (4, 2)), label=f"suggestion, {found.suggestion:.2g}")
    axes.set_xscale("log")
    least = min(found.smoothed)
    axes.set_ylim(0.9 * min(least, *found.losses), max(1.2 * found.smoothed[0], 2 * least))
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="best")
    return figure


# Helpers of `curves`.


def _curve(axes: Any, values: Sequence[float], colour: str, label: str, dashed: bool = False) -> None:
    """Draw one line. One of more than 400 epochs is drawn pale, with its smoothed line on top."""
    numbers = np.asarray(values, dtype=float)
    finite = np.flatnonzero(np.isfinite(numbers))
    numbers, epochs = numbers[finite], finite + 1
    style: dict[str, Any] = {"color": colour, "label": label, "linewidth": 1.8, "solid_capstyle": "round"}
    if dashed:
        style |= {"linestyle": (0, (4, 2)), "linewidth": 1.1}
    if len(numbers) <= 30 and not dashed:
        style |= {"marker": "o", "markersize": 3.5}
    if len(numbers) > 400:
        if not dashed:
            axes.plot(epochs, numbers, color=colour, linewidth=0.6, alpha=0.25)
        epochs, numbers = _smooth(epochs, numbers)
    axes.plot(epochs, numbers, **style)


def _smooth(epochs: Any, numbers: Any) -> tuple[Any, Any]:
    """Medians of two hundred blocks of epochs. The first numbers, which fall fast, are kept as they are."""
    start = len(numbers) // 200
    blocks = np.array_split(np.arange(start, len(numbers)), 200)
    middle = [epochs[block].mean() for block in blocks]
    medians = [np.median(numbers[block]) for block in blocks]
    return np.concatenate([epochs[:start], middle]), np.concatenate([numbers[:start], medians])


def _scale(axes: Any, name: str, drawn: list[list[float]]) -> None:
    """Set the vertical axis: logarithmic for a loss that falls to less than a hundredth, else fitted to the values."""
    axes.margins(x=0.02)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if not drawn:
        return
    low, high = min(map(min, drawn)), max(map(max, drawn))
    if name == "loss" and low > 0:
        # values above the 99 % quantile of a long run may be cut off: scaled to them, the rest would look flat
        usual = max(float(np.quantile(values, 0.99)) if len(values) > 100 else max(values) for values in drawn)
        if usual > 100 * low:
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.1 * usual)
    elif name != "loss" and low >= 0 and high <= 1:
        axes.set_ylim(max(0.0, low - 0.05), 1.005 if high > 0.9 else None)
    elif name != "loss" and high <= 1:  # R², which may start far below 0
        axes.set_ylim(max(low, -0.5), 1.02)


# Helpers of `boundary`.


def _regions(figure: Any, model: Any, x: Any, y: Any, resolution: int) -> None:
    labels, extent = _labels(y), _extent(x)
    p = _class_probabilities(model, _grid(extent, resolution))
    colours = _palette(p.shape[1])
    shade = np.clip(p, 0, 1) @ _lighter(colours, 0.42)  # the classes' colours, weighted by their probabilities
    axes = figure.subplots()
    _style_axes(axes, "decision regions", "x[0]", "x[1]", grid=False)
    axes.imshow(
        np.clip(shade, 0, 1).reshape(resolution, resolution, 3),
        extent=extent,
        origin="lower",
        interpolation="bilinear",
        aspect="auto",
    )
    left, right, bottom, top = extent
    across, up = np.linspace(left, right, resolution), np.linspace(bottom, top, resolution)
    for k in np.unique(p.argmax(axis=1)):
        lead = p[:, k] - np.delete(p, k, axis=1).max(axis=1, initial=0)
        lead = lead.reshape(resolution, resolution)
        if lead.min() < 0 < lead.max():
            axes.contour(across, up, lead, levels=[0.0], colors="white", linewidths=1.2)
    for k in np.unique(labels):
        rows, colour = labels == k, colours[int(k) % len(colours)]
        axes.scatter(*x[rows].T, s=_size(len(x)), color=colour, edgecolors="white", linewidths=0.35, label=f"class {k}")
    _frame(figure, axes, extent)
    if len(np.unique(labels)) <= 10:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9, labelcolor=INK)
    accuracy = float(np.mean(_predictions(model, x) == labels))
    _note(axes, f"{accuracy:.1%} of the {len(x):,} points lie in their class's region")


def _probabilities(figure: Any, model: Any, x: Any, y: Any, resolution: int) -> None:
    grid, labels = _line(x, resolution), _labels(y)
    p = _class_probabilities(model, grid)
    colours = _palette(p.shape[1])
    axes = figure.subplots()
    _style_axes(axes, "probability of each class", "x", "probability")
    for k in range(p.shape[1]):
        axes.plot(grid[:, 0], p[:, k], color=colours[k], linewidth=1.8, label=f"class {k}")
        axes.plot(x[labels == k, 0], np.full(np.sum(labels == k), -0.03 - 0.02 * k), "|", color=colours[k], alpha=0.6)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def _surface(figure: Any, model: Any, x: Any, y: Any, resolution: int) -> None:
    extent, targets = _extent(x), _columns(y)
    values = _columns(_predictions(model, _grid(extent, resolution)))
    figure.set_size_inches(5.6 * targets.shape[1], 4.8)
    for column, axes in enumerate(np.ravel(figure.subplots(1, targets.shape[1], squeeze=False))):
        both = np.concatenate([values[:, column], targets[:, column]])
        scale = {"vmin": both.min(), "vmax": both.max(), "cmap": "viridis"}
        _style_axes(axes, f"values{_column_suffix(column, targets)}", "x[0]", "x[1]", grid=False)
        field = values[:, column].reshape(resolution, resolution)
        image = axes.imshow(field, extent=extent, origin="lower", interpolation="bilinear", aspect="auto", **scale)
        drawn = {"s": 1.6 * _size(len(x)), "edgecolors": "white", "linewidths": 0.5}
        axes.scatter(*x.T, c=targets[:, column], **drawn, **scale)
        figure.colorbar(image, ax=axes, shrink=0.9).outline.set_visible(False)
        _frame(figure, axes, extent)
        _note(axes, "background: the model's predictions; points: the targets")


def _function(figure: Any, model: Any, x: Any, y: Any, resolution: int) -> None:
    grid, targets = _line(x, resolution), _columns(y)
    values = _columns(_predictions(model, grid))
    axes = figure.subplots()
    _style_axes(axes, "the model's curve through the points", "x", "y")
    for column in range(targets.shape[1]):
        colour, suffix = COLOURS[(3 * column) % len(COLOURS)], _column_suffix(column, targets)
        points = {"s": 1.5 * _size(len(x)), "color": colour, "alpha": 0.3, "linewidths": 0}
        axes.scatter(x[:, 0], targets[:, column], **points, label=f"targets{suffix}")
        axes.plot(
            grid[:, 0], values[:, column], color=INK if not suffix else colour, linewidth=2, label=f"model{suffix}"
        )
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def _class_probabilities(model: Any, x: Any) -> Any:
    """Class probabilities (N, K); a single binary output becomes two classes."""
    p = _host(model.predict_proba(x))
    if p.shape[1] == 1 and model.loss.targets == "binary":
        p = np.concatenate([1 - p, p], axis=1)
    return p.astype(float)


def _predictions(model: Any, x: Any) -> Any:
    return _host(model.predict(x))


def _labels(y: Any) -> Any:
    """Class labels (N,), from labels (N,) or (N, 1) or from distributions (N, K)."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim > 2:
        raise ShapeError(f"boundary takes labels (N,) or distributions (N, K), got {y.shape}")
    return (y.argmax(axis=1) if y.ndim == 2 else np.rint(y)).astype(int)


def _columns(y: Any) -> Any:
    """The targets as columns (N, D), at most the first four."""
    return y.reshape(len(y), -1)[:, :4].astype(float)


def _column_suffix(column: int, targets: Any) -> str:
    return f" {column}" if targets.shape[1] > 1 else ""


def _extent(x: Any) -> tuple[float, float, float, float]:
    """The drawn range (left, right, bottom, top), a little wider than the points."""
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    edge = np.where(high > low, 0.06 * (high - low), 0.5)
    (left, bottom), (right, top) = low - edge, high + edge
    return float(left), float(right), float(bottom), float(top)


def _grid(extent: tuple[float, float, float, float], resolution: int) -> Any:
    """The points of a square grid, (resolution², 2), row by row from the bottom."""
    left, right, bottom, top = extent
    across, up = np.meshgrid(np.linspace(left, right, resolution), np.linspace(bottom, top, resolution))
    return np.stack([across.ravel(), up.ravel()], axis=1)


def _line(x: Any, resolution: int) -> Any:
    return np.linspace(x.min(), x.max(), resolution)[:, None]


def _size(count: int) -> float:
    """The marker area of a data point, in points²; smaller where there are many points."""
    return float(np.clip(9000 / count, 9, 36))


def _palette(count: int) -> list[Any]:
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if count <= len(COLOURS):
        return [to_rgb(colour) for colour in COLOURS[:count]]
    return [tuple(rgba[:3]) for rgba in colormaps["turbo"](np.linspace(0.05, 0.95, count))]


def _lighter(colours: list[Any], share: float) -> Any:
    """The colours mixed with white, (K, 3)."""
    return 1 - share * (1 - np.asarray(colours))


# Helpers of all figures.


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        problem = f"figures are drawn by matplotlib, which cannot be imported ({error})"
        raise ImportError(f'{problem}: pip install "arraynn[plot]"') from error
    return Figure(figsize=(6.4, 4.8), dpi=DPI, layout="constrained", facecolor="white")


def _style_axes(axes: Any, title: str, across: str, up: str, grid: bool = True) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.set_xlabel(across, fontsize=9, color=FAINT)
    axes.set_ylabel(up, fontsize=9, color=FAINT)
    axes.tick_params(which="both", colors=FAINT, labelsize=8, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cccccc")
    if grid:
        axes.grid(True, color="#ececec", linewidth=0.8)
        axes.set_axisbelow(True)


def _frame(figure: Any, axes: Any, extent: tuple[float, float, float, float]) -> None:
    """Give both axes the same scale where their ranges are similar, and remove margins."""
    wide, high = extent[1] - extent[0], extent[3] - extent[2]
    axes.set(xlim=extent[:2], ylim=extent[2:], aspect="equal" if 0.4 < wide / high < 2.5 else "auto")
    axes.spines[:].set_visible(False)


def _note(axes: Any, text: str) -> None:
    axes.text(0.0, -0.13, text, transform=axes.transAxes, fontsize=8, color=FAINT, va="top")


def _host(values: Any) -> Any:
    return of(values).to_numpy(values) if is_array(values) else np.asarray(values)
