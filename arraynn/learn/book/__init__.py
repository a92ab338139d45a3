"""The runs of the book *Neural Networks from Scratch in Python*, as data, and what arraynn makes of them.

Kinsley and Kukieła, 2020. Each row of `ROWS` is one of its runs, with the figures that it prints. `run_row` repeats
one: in the book's own random numbers and rounding (`stream="book"`, by the blocks of `book.blocks`, which are made as
a user's own would be), or from a seed, with the library's blocks, on any backend. `arraynn book` runs them all.

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
