"""Plots a run: `curves` of its history, the decision `boundary` of a model, and a `Film` of the training.

`curves`, `boundary` and `learning_rate_range` return matplotlib Figures made without pyplot. So no global state
changes, and no display is needed. A film needs only Pillow.

    nn.plot.curves(model.history).savefig("curves.png")
    model.fit(x, y, epochs=1000, callbacks=[nn.plot.Film("film.webp", x, y)])
"""

from ._figures import COLOURS, DPI, FAINT, INK, MOST_POINTS, TRAINING, VALIDATION, boundary, curves, learning_rate_range
from ._film import Film

__all__ = [
    "COLOURS",
    "DPI",
    "FAINT",
    "INK",
    "MOST_POINTS",
    "TRAINING",
    "VALIDATION",
    "Film",
    "boundary",
    "curves",
    "learning_rate_range",
]
