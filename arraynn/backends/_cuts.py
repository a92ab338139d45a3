"""An elementwise call over rows that are short, cut so that NumPy's loops are long. The arithmetic, so the bits, stay.

NumPy takes some 20 ns to go from one row to the next where an argument is one row, or one column, for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SHORT = 8  #: columns, fewer than which are taken one by one
FEW = 5  #: columns, fewer than which the largest of a row is looked for column by column
TURNED = 64  #: columns, fewer than which the largest of a row is looked for with the rows side by side
LONG = 4096  #: elements, half of NumPy's buffer: rows put together should have more, or they are copied there first
LONGEST = 16384  #: elements, more than which they should not have, to stay in the cache
REPEATED = 32768  #: elements, up to which a number is repeated as often as there are elements
MANY = 32  #: rows, fewer than which nothing is gained


@dataclass(frozen=True)
class Operand:
    """name : in the source. shape : () for numbers. whole : its memory is in order and nothing else is in it.

    early : views of it can be made before the step.
    """

    name: str
    shape: tuple[int, ...] = ()
    whole: bool = False
    early: bool = False


def columns(args: list[Operand], out: Operand) -> Iterator[tuple[list[str], str]]:
    """(views of args, a view of out) for each column, as indices behind their names; nothing where it does not pay."""
    if len(out.shape) != 2 or out.shape[1] >= SHORT or out.shape[0] < MANY:
        return
    rows, count = out.shape
    if all(arg.shape in ((), out.shape) for arg in args):
        return
    for j in range(count):
        # arrays without axes, which NumPy takes three times as quickly as those of one element
        index = {out.shape: f"[:, {j}]", (rows, 1): "[:, 0]", (count,): f"[{j}, ...]", (): ""}
        index |= {(1, count): f"[0, {j}, ...]", (1,): "[0, ...]", (1, 1): "[0, 0, ...]"}
        yield [index[arg.shape] for arg in args], f"[:, {j}]"


def together(args: list[Operand], out: Operand, always: bool = False) -> int:
    """How many rows are to be taken as one, so that a row among args is repeated as often; 0 where it does not pay.

    always : also where no argument is a row, as numbers are to be repeated.
    """
    if len(out.shape) != 2 or not out.whole or not out.early or out.shape[0] < MANY:
        return 0
    rows, count = out.shape
    whole = [arg for arg in args if arg.shape == out.shape]
    single = [arg for arg in args if arg.shape in ((count,), (1, count)) and arg.shape != out.shape]
    if len(whole) + len(single) + sum(arg.shape == () for arg in args) != len(args):
        return 0
    if not (single or always) or not all(arg.whole and arg.early for arg in whole):
        return 0
    if not single and rows * count <= REPEATED:
        return rows
    if single and count > LONG:
        return 0
    fitting = [k for k in range(2, min(rows, LONGEST // max(count, 1)) + 1) if rows % k == 0]
    return next((k for k in fitting if k * count > LONG), max(fitting, default=0))


def crossed(args: list[Operand], out: Operand) -> Operand | None:
    """The column among args, where the other one is a row: written to out first, it is read as quickly as any array."""
    if len(args) != 2 or len(out.shape) != 2 or not out.whole or not out.early or math.prod(out.shape) <= LONGEST:
        return None
    rows, count = out.shape
    column = next((arg for arg in args if arg.shape == (rows, 1)), None)
    row = next((arg for arg in args if arg.shape in ((count,), (1, count))), None)
    return column if row is not None and rows > 1 and count >= SHORT else None


def cut(args: list[Operand], out: Operand, view: Callable[[Operand, str], str]) -> list[tuple[list[str], str]]:
    """The calls by columns, as (texts of args, text of out)."""
    return [
        ([view(arg, index) for arg, index in zip(args, indices, strict=True)], view(out, last))
        for indices, last in columns(args, out)
    ]
