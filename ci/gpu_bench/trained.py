"""Runs of `arraynn train` on the GPU beside the same runs on NumPy: where they ended."""

from __future__ import annotations

import csv
from pathlib import Path

from ..bench.report import table

LEAST = {"spiral": 0.84, "digits": 0.96, "mnist": 0.97}  #: what a run of the default options reaches, on any backend


def last(folder: Path) -> dict[str, float]:
    """The last row of the run's history with a validation; {} where there is no history, as the run failed."""
    path = folder / "history.csv"
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["val_accuracy"]]
    return {name: float(value) for name, value in rows[-1].items() if value} if rows else {}


def compared(folders: list[Path]) -> tuple[str, bool]:
    """(a table of the runs in folders named as spiral-cupy, whether each reached what it must)."""
    rows, fine = [["run", "loss", "accuracy", "validation loss", "validation accuracy", "at least"]], True
    for folder in folders:
        least, end = LEAST[folder.name.partition("-")[0]], last(folder)
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        rows.append([folder.name, *(f"{end[name]:.4f}" if end else "-" for name in names), f"{least}"])
        fine &= bool(end) and end["val_accuracy"] >= least
    return table(rows), fine
