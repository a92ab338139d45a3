"""Finished runs on disk, one line each, so that an interrupted command continues where it stopped."""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from .pool import Job
from .row import Figures
from .runs import Point, Result

RUNS, CURVES = "runs.csv", "curves.csv"
_PARTS = ("start", "hundred", "end")
_FIGURES = [field.name for field in fields(Figures)]
_HEAD = ["row", "stream", "backend", "epochs", "seconds", "problem"]
_COLUMNS = [*_HEAD, *(f"{part}_{name}" for part in _PARTS for name in _FIGURES)]
_CURVE = ["row", "stream", "backend", "epochs", "epoch", "accuracy", "loss"]


class Store:
    """The finished runs in a folder: `results` lists them, and `add` appends one.

    A run's curve is written before its line in runs.csv, so a run that has a line is complete. Curves without such a
    line, left by a crash, are ignored.
    """

    def __init__(self, folder: Path) -> None:
        self.runs, self.curves = folder / RUNS, folder / CURVES
        self.results: list[Result] = []
        if self.runs.exists():
            self._read()
        else:
            _write(self.runs, [_COLUMNS], "w")
            _write(self.curves, [_CURVE], "w")

    def find(self, job: Job) -> Result | None:
        """The result of a job, or None if it is not done."""
        return next((result for result in self.results if _key(result) == _key(job)), None)

    def add(self, result: Result) -> None:
        """Append a finished run to the files and to `results`."""
        key = _key(result)
        _write(self.curves, [[*key, point.epoch, point.accuracy, point.loss] for point in result.curve], "a")
        figures = [asdict(getattr(result, part))[name] for part in _PARTS for name in _FIGURES]
        _write(self.runs, [[*key, f"{result.seconds:.1f}", result.problem, *figures]], "a")
        self.results.append(result)

    def _read(self) -> None:
        curves: dict[tuple[str, ...], dict[int, Point]] = {}
        for line in _lines(self.curves, len(_CURVE)):
            point = Point(int(line[4]), float(line[5]), float(line[6]))
            curves.setdefault(tuple(line[:4]), {})[point.epoch] = point
        for line in _lines(self.runs, len(_COLUMNS)):
            numbers = iter(float(text) if text else None for text in line[len(_HEAD) :])
            parts = {part: Figures(*(next(numbers) for _ in _FIGURES)) for part in _PARTS}
            curve = tuple(point for _, point in sorted(curves.get(tuple(line[:4]), {}).items()))
            row, stream, backend, epochs, seconds, problem = line[: len(_HEAD)]
            self.results.append(
                Result(row, stream, backend, int(epochs), float(seconds), **parts, curve=curve, problem=problem)
            )


def _key(run: Any) -> tuple[str, str, str, str]:
    return run.row, run.stream, run.backend, str(run.epochs)


def _write(path: Path, rows: list[list[Any]], mode: str) -> None:
    with path.open(mode, newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["" if value is None else value for value in row] for row in rows])


def _lines(path: Path, columns: int) -> list[list[str]]:
    """The lines of a CSV file below its header. An incomplete last line is removed from the file."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        path.write_bytes(whole)
    return [line for line in csv.reader(whole.decode("utf-8").splitlines()[1:]) if len(line) == columns]
