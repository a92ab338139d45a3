"""The figures of a run on a table: importance of the columns, and predicted against true values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..plot import DPI, FAINT, INK, MOST_POINTS, TRAINING
from ._folder import save_figure
from ._table_figures import confusion, predictions

IMPORTANCE, PREDICTED, CONFUSION = "importance.png", "predicted.png", "confusion.png"
BARS = 30  #: columns in the importance figure, at most
PANELS = 4  #: targets whose predictions are drawn, at most
CELLS = 20  #: classes of a confusion matrix that shows its counts, at most


def pictures(folder: Path, model: Any, x: Any, y: Any, importance: Any, at: str) -> tuple[list[str], str]:
    """Draw the importance of the columns, and predicted against true values.

    Returns the names of the files, and why they are missing, or "".
    """
    last = PREDICTED if model.encoding.classes is None else CONFUSION
    (folder / (CONFUSION if last == PREDICTED else PREDICTED)).unlink(missing_ok=True)  # of a run that was overwritten
    try:
        save_figure(
            _importance([*importance.items()][:BARS], "R²" if last == PREDICTED else "accuracy", at),
            folder / IMPORTANCE,
        )
        found = predictions(model, x)[0]
        if last == PREDICTED:
            truth = np.asarray(model.encoding.decode(np.asarray(y)))
            names = [target.name for target in model.encoding.targets]
            save_figure(_predicted(truth, np.asarray(found), names, at), folder / last)
        else:
            classes = model.encoding.classes
            counts = confusion(y, found, len(classes))
            save_figure(_confusion(counts, list(map(str, classes)), at), folder / last)
    except ImportError:
        return [], f'no {IMPORTANCE} and {last}: they need matplotlib, pip install "arraynn[plot]"'
    return [IMPORTANCE, last], ""


def _figure(width: float, height: float, *titles: str) -> tuple[Any, Any]:
    """A figure with a panel for each title: (figure, axes), or (figure, list of axes) for several titles.

    It is made without pyplot, which has global state. Raises ImportError without matplotlib.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    found = list(figure.subplots(1, len(titles), squeeze=False)[0])
    for axes, title in zip(found, titles, strict=True):
        axes.set_title(title, fontsize=10, color=INK, loc="left")
        axes.tick_params(colors=INK, labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, found if len(found) > 1 else found[0]


def _importance(columns: list[tuple[str, tuple[float, float]]], figure_name: str, at: str) -> Any:
    """A bar chart of the columns, most important on top, with the standard deviation over the shuffles."""
    figure, axes = _figure(
        6.4, 1.2 + 0.26 * len(columns), f"{figure_name} lost when a column is shuffled, on {at} rows"
    )
    names = [name if len(name) <= 40 else name[:37] + "..." for name, _ in columns]
    means, spreads = zip(*(values for _, values in columns), strict=True)
    positions = np.arange(len(columns))[::-1]
    axes.barh(positions, means, xerr=spreads, color=TRAINING, ecolor=FAINT, height=0.7)
    axes.set_yticks(positions, [_escaped(name) for name in names])
    axes.axvline(0, color=INK, linewidth=0.8)
    return figure


def _predicted(truth: np.ndarray, found: np.ndarray, names: list[str], at: str) -> Any:
    """Predicted against true values, with the diagonal of equal values, for each of the first PANELS targets."""
    truth, found = (values.reshape(len(values), -1)[:MOST_POINTS, :PANELS] for values in (truth, found))
    titles = [f"{_escaped(name)}, on {at} rows" for name in names[:PANELS]]
    figure, panels = _figure(4.8 * len(titles), 4.8, *titles)
    for k, axes in enumerate(panels if len(titles) > 1 else [panels]):
        ends = truth[:, k].min(), truth[:, k].max(), found[:, k].min(), found[:, k].max()
        low, high = float(min(ends)), float(max(ends))
        axes.plot([low, high], [low, high], color=FAINT, linewidth=1)
        axes.scatter(truth[:, k], found[:, k], s=8, color=TRAINING, alpha=0.5, linewidths=0)
        axes.set_xlabel("true", color=INK)
        axes.set_ylabel("predicted", color=INK)
    return figure


def _confusion(counts: np.ndarray, classes: list[str], at: str) -> Any:
    """A confusion matrix: rows are true classes, columns predicted ones; darker cells have a larger share of a row."""
    size = min(2.2 + 0.45 * len(classes), 12)
    figure, axes = _figure(size, size, f"{at} rows")
    axes.set_ylabel("true class", color=INK)
    axes.set_xlabel("predicted class", color=INK)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= CELLS:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else INK
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)
        names = [_escaped(name if len(name) <= 20 else name[:17] + "...") for name in classes]
        axes.set_xticks(range(len(classes)), names, rotation=90 if max(map(len, names)) > 4 else 0)
        axes.set_yticks(range(len(classes)), names)
    return figure


def _escaped(text: str) -> str:
    """The text with its $ escaped, as matplotlib renders text between two $ as a formula."""
    return text.replace("$", r"\$")
