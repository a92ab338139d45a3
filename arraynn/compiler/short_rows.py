"""The one optional pass over NumPy calls: operations over short rows, laid out so that NumPy's loops are long.

The arithmetic stays, and so do the bits. NumPy takes some 20 ns to go from one row to the next where an argument is one
row, or one column, for all of them: more than a row of three numbers costs to compute. And where rows are broadcast it
copies them to its buffer of 8192 numbers first, unless one row is more than half of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import tuning


@dataclass(frozen=True)
class Ref:
    """An array in a program. shape : () for numbers. contiguous : it fills its memory, in order.

    hoistable : views of it can be made before the program runs.
    """

    name: str
    shape: tuple[int, ...] = ()
    contiguous: bool = False
    hoistable: bool = False


def columns(args: list[Ref], out: Ref) -> Iterator[tuple[list[str], str]]:
    """(views of args, a view of out) for each column, as indices behind their names; nothing where it does not pay."""
    if len(out.shape) != 2 or out.shape[1] >= tuning.SHORT_ROW or out.shape[0] < tuning.ROWS:
        return
    rows, count = out.shape
    if all(arg.shape in ((), out.shape) for arg in args):
        return
    for j in range(count):
        # arrays without axes, which NumPy takes three times as quickly as those of one element
        index = {out.shape: f"[:, {j}]", (rows, 1): "[:, 0]", (count,): f"[{j}, ...]", (): ""}
        index |= {(1, count): f"[0, {j}, ...]", (1,): "[0, ...]", (1, 1): "[0, 0, ...]"}
        yield [index[arg.shape] for arg in args], f"[:, {j}]"


def by_columns(args: list[Ref], out: Ref, view: Callable[[Ref, str], str]) -> list[tuple[list[str], str]]:
    """The calls for each column, as (texts of args, text of out)."""
    return [
        ([view(arg, index) for arg, index in zip(args, indices, strict=True)], view(out, last))
        for indices, last in columns(args, out)
    ]


def collapsed(args: list[Ref], out: Ref, always: bool = False) -> int:
    """How many rows are to be taken as one, so that a row among args is repeated as often; 0 where it does not pay.

    always : also where no argument is a row, as numbers are to be repeated.
    """
    if len(out.shape) != 2 or not out.contiguous or not out.hoistable or out.shape[0] < tuning.ROWS:
        return 0
    rows, count = out.shape
    whole = [arg for arg in args if arg.shape == out.shape]
    single = [arg for arg in args if arg.shape in ((count,), (1, count)) and arg.shape != out.shape]
    if len(whole) + len(single) + sum(arg.shape == () for arg in args) != len(args):
        return 0
    if not (single or always) or not all(arg.contiguous and arg.hoistable for arg in whole):
        return 0
    if not single and rows * count <= tuning.REPEATED:
        return rows
    if single and count > tuning.COLLAPSED:
        return 0
    fitting = [k for k in range(2, min(rows, tuning.COLLAPSED_MOST // max(count, 1)) + 1) if rows % k == 0]
    return next((k for k in fitting if k * count > tuning.COLLAPSED), max(fitting, default=0))


def broadcast_column(args: list[Ref], out: Ref) -> Ref | None:
    """The column among args, where the other one is a row: written to out first, it is read as quickly as any array."""
    if len(args) != 2 or len(out.shape) != 2 or not out.contiguous or not out.hoistable:
        return None
    rows, count = out.shape
    column = next((arg for arg in args if arg.shape == (rows, 1)), None)
    row = next((arg for arg in args if arg.shape in ((count,), (1, count))), None)
    pays = math.prod(out.shape) > tuning.COLLAPSED_MOST and rows > 1 and count >= tuning.SHORT_ROW
    return column if row is not None and pays else None


def reduced_by_columns(op: str, shape: tuple[int, ...]) -> bool:
    """Whether rows are reduced column after column, in NumPy's order. (A sum of nothing but -0.0 stays that, where
    NumPy begins with 0.0.)"""
    fewer = tuning.SHORT_MAXIMUM if op in ("max", "min") else tuning.SHORT_ROW
    return op != "mean" and shape[0] >= tuning.ROWS and 1 < shape[1] < fewer


def reduced_transposed(op: str, shape: tuple[int, ...]) -> bool:
    """Whether the largest of each row is looked for in columns that lie in order, all rows at once."""
    return op in ("max", "min") and shape[0] >= tuning.ROWS and 1 < shape[1] < tuning.TRANSPOSED_MAXIMUM
