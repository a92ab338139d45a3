"""Pictures of a run: `curves` of its history, `boundary` of what the network has learnt, `Film` of how it learns.

The first two return matplotlib Figures made without pyplot: nothing global changes, and no display is needed. A film
needs Pillow only.

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
