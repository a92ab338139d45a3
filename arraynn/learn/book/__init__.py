"""Repeats the training runs of the book *Neural Networks from Scratch in Python* and compares their figures.

Kinsley and Kukieła, 2020. Each row of `ROWS` is one of the book's runs, with the figures that the book prints.
`run_row` repeats one of them. With `stream="book"` it uses the book's random numbers and rounding, by the blocks of
`book.blocks`, which are written as a user's own blocks would be. With a seed it uses the library's blocks, on any
backend. `arraynn book` repeats all runs.

    from arraynn.learn.book import run_row
    run_row("adam", "book", epochs=100).end
"""

from .blocks import (
    BookAdam,
    BookDense,
    BookDropout,
    BookL1L2,
    BookRMSProp,
    BookSoftmaxCrossEntropy,
    Decay,
    Stream,
    rounded_normal,
)
from .row import Figures, Row
from .rows import ROWS
from .runs import Point, Result, run_row

__all__ = [
    "ROWS",
    "BookAdam",
    "BookDense",
    "BookDropout",
    "BookL1L2",
    "BookRMSProp",
    "BookSoftmaxCrossEntropy",
    "Decay",
    "Figures",
    "Point",
    "Result",
    "Row",
    "Stream",
    "rounded_normal",
    "run_row",
]
