"""`--seeds N`: repeats a run from N seeds and prints mean and standard deviation of its figures."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from ._folder import output_folder
from ._output import UsageError, figure_table, figure_text
from ._train import run_once


def over_seeds(arguments: argparse.Namespace) -> int:
    """Train from `--seeds` seeds, counted up from `--seed`, each in its own folder.

    Prints the mean and the sample standard deviation (divided by N - 1) of each figure. Returns the exit code of the
    first run that fails, else 0.
    """
    if arguments.resume:
        raise UsageError("--seeds and --resume do not go together; resume the run of one seed by its own --out")
    found: dict[str, dict[str, list[float]]] = {}
    why = ""
    with output_folder(arguments.out, Path(arguments.data).stem, arguments.overwrite) as folder:
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            if not arguments.quiet:
                print(f"seed {seed}, {seed - arguments.seed + 1} of {arguments.seeds}", flush=True)
            own = argparse.Namespace(**{**vars(arguments), "seed": seed, "seeds": None, "quiet": True})
            own.out = str(folder / f"seed-{seed}")
            code, run = run_once(own)
            if code or run is None:
                return code
            compared, why = run.compare()
            for name, values in compared.items():
                own_figures = found.setdefault(name, {})
                for figure, value in values.items():
                    own_figures.setdefault(figure, []).append(value)
    if not arguments.quiet:
        lines = [
            (name, "", {figure: _spread(all_, figure) for figure, all_ in of.items()}) for name, of in found.items()
        ]
        print(f"\nmean ± standard deviation of {arguments.seeds} seeds\n{figure_table(lines)}")
        if why:
            print(why)
    return 0


def _spread(values: list[float], name: str) -> str:
    """The text "mean ± standard deviation", with as many decimals as the mean has.

    >>> _spread([0.0590, 0.0602], "log loss"), _spread([80_000.0, 81_000.0], "RMSE")
    ('0.0596 ± 0.0008', '80,500 ± 707')
    """
    mean, spread = figure_text(statistics.mean(values), name), statistics.stdev(values)
    if "e" in mean or "." not in mean:
        return f"{mean} ± {f'{spread:,.0f}' if spread >= 1 else figure_text(spread)}"
    return f"{mean} ± {spread:.4f}"
