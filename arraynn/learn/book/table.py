"""The comparison table: the book, its code today, arraynn in the book's stream, and the mean over seeds."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ..._text import table
from .row import Figures, Row
from .runs import Result, missing

FAR = 3.0  #: standard deviations between book and mean from which the table has a note
ENOUGH = 5  #: seeds for a usable standard deviation


@dataclass(frozen=True)
class Line:
    """One figure of a row from each source, None where unknown. mean, sd : over `count` seeds."""

    row: str
    figure: str
    book: float | None
    today: float | None
    stream: float | None
    mean: float | None
    sd: float | None
    count: int


FIGURES = (
    ("accuracy at 0", "start", "accuracy"),
    ("loss at 0", "start", "loss"),
    ("accuracy at 100", "hundred", "accuracy"),
    ("loss at 100", "hundred", "loss"),
    ("accuracy", "end", "accuracy"),
    ("loss", "end", "loss"),
    ("data loss", "end", "data_loss"),
    ("penalty", "end", "penalty"),
    ("validation accuracy", "end", "val_accuracy"),
    ("validation loss", "end", "val_loss"),
    ("learning rate", "end", "learning_rate"),
)
#: the figures that the book and its code today print at epoch 0 in the runs of the optimizer chapters
START = Figures(0.360, 1.099)


class Table:
    """The table of some rows. results : of these rows, all with the same number of epochs."""

    def __init__(self, rows: Sequence[Row], results: Sequence[Result], epochs: int | None) -> None:
        self.rows, self.epochs = rows, epochs
        self.stream = {result.row: result for result in results if result.stream == "book"}
        self.seeds = {
            row.name: [result for result in results if result.row == row.name and result.stream != "book"]
            for row in rows
        }

    def whole(self, row: Row) -> bool:
        """Whether the row was run to its end, so that the book's last figures can be compared."""
        return self.epochs is None or self.epochs >= row.epochs

    def lines(self, row: Row) -> list[Line]:
        """A line for each figure of a row."""
        found = []
        for figure, part, name in FIGURES:
            book, today = self._known(row, part)
            own = self.stream.get(row.name)
            stream = None if own is None or own.problem else getattr(getattr(own, part), name)
            values = [getattr(getattr(result, part), name) for result in self.seeds[row.name] if not result.problem]
            values = [value for value in values if value is not None]
            mean = fmean(values) if values else None
            sd = stdev(values) if len(values) > 1 else None
            found.append(
                Line(row.name, figure, getattr(book, name), getattr(today, name), stream, mean, sd, len(values))
            )
        return found

    def _known(self, row: Row, part: str) -> tuple[Figures, Figures]:
        """(figures of the book, figures of its code today) for one part of the run."""
        if part == "hundred":
            return Figures(), row.today_100
        if part == "end":
            return (row.book, row.today) if self.whole(row) else (Figures(), Figures())
        optimizers = row.data == "spiral" and (row.samples, row.hidden) == (100, (64,))
        return (START if optimizers and not row.l2 else Figures()), Figures()

    # As text.

    def text(self, backend: str) -> str:
        """The table for a terminal, with notes below."""
        seeds = max((len(results) for results in self.seeds.values()), default=0)
        head = ["", "book", "its code today", "book's stream", f"{seeds} seed{'s' * (seeds != 1)}, {backend}"]
        cells: list[list[str]] = []
        for row in self.rows:
            cells.append([f"{row.name}: {row.title}"])
            why = missing(row)
            if why and row.name not in self.stream:
                cells.append([f"  {why}"])
                continue
            cells += self._cells(row)
        first, *aligned = table([head, *(line for line in cells if len(line) > 1)]).splitlines()
        rows = iter(aligned)
        out = [first, "-" * max(map(len, [first, *aligned]))]
        out += [line[0] if len(line) == 1 else next(rows) for line in cells]
        return "\n".join([*out, "", *self.notes()])

    def _cells(self, row: Row) -> Iterator[list[str]]:
        by_name = {line.figure: line for line in self.lines(row)}
        last = row.epochs if self.whole(row) else self.epochs
        start = 0 if row.batch_size is None else 1
        unit = "epoch" if row.batch_size is None else "epochs:"
        groups = [(f"epoch {start}", "accuracy at 0", "loss at 0")]
        if by_name["accuracy at 100"].stream is not None or by_name["accuracy at 100"].mean is not None:
            groups.append(("epoch 100", "accuracy at 100", "loss at 100"))
        groups.append((f"{unit} {last}", "accuracy", "loss"))
        if row.l2:
            groups.append(("data loss, penalty", "data loss", "penalty"))
        if row.validated:
            groups.append(("validation", "validation accuracy", "validation loss"))
        for title, first, second in groups:
            pair = by_name[first], by_name[second]
            bracket = row.transcribed and pair[0].today is not None
            today = _both(line.today for line in pair)
            yield [
                f"  {title}",
                _both(line.book for line in pair),
                f"({today})" if bracket else today,
                _both((line.stream for line in pair), "not run"),
                ", ".join(_spread(line) for line in pair) if pair[0].count else "not run",
            ]
        rate = by_name["learning rate"]
        texts = [_rate(rate.book), _rate(rate.today), _rate(rate.stream, "not run"), _rate(rate.mean, "not run")]
        yield ["  learning rate", *texts]

    def notes(self) -> list[str]:
        """Notes on which figures agree, and on the reasons where they differ."""
        lines = {row.name: {line.figure: line for line in self.lines(row)} for row in self.rows}
        notes = [
            "accuracy, loss; mean ± standard deviation over the seeds. (in brackets): the arithmetic of the book's",
            'code transcribed, as its own code was not run for these rows. "not given": the book prints none.',
        ]
        for title, wanted, source in (
            ("epoch 0", ("accuracy at 0", "loss at 0"), "book"),
            ("epoch 100", ("accuracy at 100", "loss at 100"), "today"),
            ("the end", ("accuracy", "loss"), "today"),
            ("learning rates", ("learning rate",), "book"),
        ):
            notes += _agreement(self.rows, lines, title, wanted, source)
        for row in self.rows:
            own = lines[row.name]
            names = ("accuracy at 100", "loss at 100", "accuracy", "loss")
            if row.rounding and any(_differ(own[name]) for name in names):
                notes.append(f"{row.name}: the book's stream differs from the book's code in last bits: {row.rounding}")
            far = [name for name in ("accuracy", "loss", "validation accuracy", "validation loss") if _far(own[name])]
            if far:
                parts = ", ".join(f"{name} {_distance(own[name]):.1f}" for name in far)
                count = own[far[0]].count
                unknown = "no reason is known" if count >= ENOUGH else f"but {count} seeds are too few to tell"
                why = row.note or unknown
                notes.append(f"{row.name}: the book is more than {FAR:g} standard deviations off ({parts}): {why}")
            notes += [
                f"{row.name}, {result.stream}: {result.problem}"
                for result in [*self.seeds[row.name], *([self.stream[row.name]] if row.name in self.stream else [])]
                if result.problem
            ]
        return notes

    def write(self, path: Path) -> None:
        """All figures as CSV, unrounded."""
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["row", "title", "figure", "book", "today", "book_stream", "mean", "sd", "seeds"])
            for row in self.rows:
                for line in self.lines(row):
                    values = [line.book, line.today, line.stream, line.mean, line.sd]
                    texts = ["" if value is None else repr(value) for value in values]
                    rows.writerow([row.name, row.title, line.figure, *texts, line.count])


def printed(value: float) -> str:
    """Three decimals, as the book prints them, without a leading 0."""
    return f"{value:.3f}".removeprefix("0")


def _both(values: Iterator[float | None], nothing: str = "not given") -> str:
    texts = [printed(value) for value in values if value is not None]
    return ", ".join(texts) or nothing


def _spread(line: Line) -> str:
    if line.mean is None:
        return "none"
    return printed(line.mean) + ("" if line.sd is None else f" ± {printed(line.sd)}")


def _rate(value: float | None, nothing: str = "not given") -> str:
    return nothing if value is None else repr(value).removeprefix("0")


def _agreement(
    rows: Sequence[Row], lines: dict[str, dict[str, Line]], title: str, wanted: tuple[str, ...], source: str
) -> Iterator[str]:
    """A line that says how many rows, run in the book's stream, give the printed digits, and which do not."""
    compared, apart = 0, []
    for row in rows:
        pairs = [(getattr(line, source), line.stream) for line in (lines[row.name][name] for name in wanted)]
        if (row.transcribed and source == "today") or any(value is None for pair in pairs for value in pair):
            continue
        compared += 1
        show: Any = repr if title == "learning rates" else printed
        if any(show(known) != show(own) for known, own in pairs):
            apart.append(row.name)
    if compared:
        against = "the book" if source == "book" else "its code today"
        yield (
            f"{title}: the book's stream agrees with {against} to the printed digits in {compared - len(apart)} of "
            f"{compared} rows{', not in ' + ', '.join(apart) if apart else ''}"
        )


def _differ(line: Line) -> bool:
    """Whether the run in the book's stream prints different digits from the book's code today."""
    return line.today is not None and line.stream is not None and printed(line.today) != printed(line.stream)


def _distance(line: Line) -> float:
    """The distance of the book from the mean over seeds, in standard deviations, less half a unit of the last digit."""
    if line.book is None or line.mean is None or line.sd is None:
        return 0.0
    off = max(abs(line.book - line.mean) - 0.0005, 0.0)
    return off / line.sd if line.sd else math.copysign(math.inf, off) if off else 0.0


def _far(line: Line) -> bool:
    return _distance(line) > FAR
