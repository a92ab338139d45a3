"""`--seeds N`: the same run from N seeds, and how far its figures spread."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from .._text import table
from ..training.progress import short
from ._folder import claimed
from ._say import UsageError
from ._train import run_once


def over_seeds(arguments: argparse.Namespace) -> int:
    """Train from `--seeds` seeds, counted up from `--seed`, each in a folder of its own, and print the mean and the
    standard deviation (with N - 1 below) of each figure. Returns the exit code, of the first run that failed."""
    if arguments.resume:
        raise UsageError("--seeds and --resume do not go together; resume the run of one seed by its own --out")
    found: dict[tuple[str, str], list[float]] = {}
    with claimed(arguments.out, Path(arguments.data).stem, arguments.overwrite) as folder:
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            own = argparse.Namespace(**{**vars(arguments), "seed": seed, "seeds": None, "quiet": True})
            own.out = str(folder / f"seed-{seed}")
            code, run = run_once(own)
            if code or run is None:
                return code
            for name, values in run.measure().items():
                for figure, value in values.items():
                    found.setdefault((name, figure), []).append(value)
    if not arguments.quiet:
        names, figures = (list(dict.fromkeys(key[i] for key in found)) for i in range(2))
        rows = [["", *figures]]
        rows += [[name, *(_spread(found[name, figure]) for figure in figures)] for name in names]
        print(f"\nmean ± standard deviation of {arguments.seeds} seeds\n{table(rows)}")
    return 0


def _spread(values: list[float]) -> str:
    return f"{short(statistics.mean(values))} ± {short(statistics.stdev(values))}"
