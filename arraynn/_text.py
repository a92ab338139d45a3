"""Formats text for users: tables of aligned columns, counts, numbers and shapes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


def table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Rows of cells as lines of aligned columns, two spaces apart; the columns in `right` are aligned to the right.

    >>> print(table([("layer", "parameters"), ("Dense", "12")], right=[1]))
    layer  parameters
    Dense          12
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    align = [str.rjust if i in right else str.ljust for i in range(len(widths))]
    lines = ("  ".join(to(cell, w) for to, cell, w in zip(align, row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the singular or plural.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def brief(value: float) -> str:
    """A number in about four digits, without an exponent unless it is very large or very small.

    >>> brief(0.43421), brief(1234567.8), brief(-0.0000123), brief(5.0)
    ('0.4342', '1,234,568', '-1.23e-05', '5')
    """
    size = abs(value)
    return f"{value:,.0f}" if 1e4 <= size < 1e15 else f"{value:.4g}" if size >= 1e-4 or not size else f"{value:.3g}"


def row_shape(shape: Sequence[Any]) -> str:
    """The shape of a batch of rows of this shape, with N for the batch axis; for several inputs, each one's.

    >>> row_shape((28, 28, 1)), row_shape(()), row_shape(((2,), (3,)))
    ('(N, 28, 28, 1)', '(N,)', '(N, 2) and (N, 3)')
    """
    if shape and isinstance(shape[0], tuple):
        return " and ".join(map(row_shape, shape))
    return f"({', '.join(['N', *map(str, shape)])})" if shape else "(N,)"
