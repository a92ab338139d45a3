"""The output folder of a run: chosen, created and checked to be writable before anything is trained."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..io.atomic import write_atomic
from ._output import UsageError

MODEL, HISTORY, CURVES = "model.safetensors", "history.csv", "curves.png"
FOLD = "fold-"  #: followed by a number: the folder of one of several networks
CHECKPOINT = "checkpoint.safetensors"  #: of a run that is in progress or was interrupted
PREDICTION_FIGURES = {(2,): "boundary.png", (1,): "fit.png"}  #: by input shape, where the input can be drawn


@contextmanager
def output_folder(out: str | None, name: str, overwrite: bool, resume: bool = False) -> Iterator[Path]:
    """Choose and create the output folder. Folders created for it that stay empty are removed at the end.

    out : the folder, or None for the first free one of runs/<name>-001, -002, …. Raises UsageError where it holds a
    model or an interrupted run, and neither `overwrite` nor `resume` is set; OSError where it cannot be written.
    """
    if resume and overwrite:
        raise UsageError("--resume keeps what --overwrite would not; give one of them")
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the run to continue")
    if out is not None and not (overwrite or resume):
        interrupted = interrupted_file(Path(out))
        if interrupted is not None:
            raise UsageError(f"{interrupted} exists; --resume continues it, --overwrite starts over")
        if (Path(out) / MODEL).exists():
            more = "" if is_mean(Path(out)) else "--resume continues it with more --epochs, "
            raise UsageError(f"{Path(out) / MODEL} exists; {more}--overwrite starts over, another --out keeps both")
    created: list[Path] = []
    try:
        folder = _numbered(name, created) if out is None else _created(Path(out), created)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if overwrite:  # otherwise a later --resume would continue the overwritten run
            (folder / CHECKPOINT).unlink(missing_ok=True)
        yield folder
    finally:
        for path in reversed(created):
            with suppress(OSError):
                path.rmdir()  # only where it is empty


def interrupted_file(folder: Path) -> Path | None:
    """A file that shows an interrupted run in the folder; None if there is none.

    It is a checkpoint, also one beside a model (Ctrl-C leaves both), or the model of a fold without the mean's model.
    """
    whole = (folder / MODEL).exists()
    names = [CHECKPOINT, f"{FOLD}*/{CHECKPOINT}", *([] if whole else [f"{FOLD}*/{MODEL}"])]
    return next((path for name in names for path in sorted(folder.glob(name))), None)


def is_mean(folder: Path) -> bool:
    """Whether the model in a folder is the mean of several networks, which is not trained further."""
    return any(folder.glob(f"{FOLD}*/{MODEL}"))


def model_file(name: str) -> Path:
    """The model file that the command line names, directly or by the folder of its run.

    Raises CheckpointError for the folder of a run that was interrupted before it had a model.
    """
    path = Path(name)
    if not path.is_dir():
        return path
    interrupted = interrupted_file(path)
    if interrupted is not None and not (path / MODEL).exists():
        raise CheckpointError(
            f"{path} holds a run that was interrupted before its model was saved; arraynn train with the options of "
            f"that run and --out {path} --resume finishes it"
        )
    return path / MODEL


def _created(path: Path, created: list[Path]) -> Path:
    if not path.is_dir():
        if not path.parent.is_dir():
            _created(path.parent, created)
        path.mkdir()
        created.append(path)
    return path


def _numbered(name: str, created: list[Path]) -> Path:
    runs = _created(Path("runs"), created)
    for number in count(1):
        folder = runs / f"{name}-{number:03}"
        with suppress(FileExistsError):  # mkdir fails where the folder exists, so two runs never share one
            folder.mkdir()
            created.append(folder)
            return folder
    raise AssertionError("unreachable: there is always another number")


def save_model(folder: Path, model: Any) -> list[str]:
    """Write the model and its history. Returns the files' names."""
    model.save(folder / MODEL)
    with (folder / HISTORY).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["epoch", *model.history])
        rows.writerows(enumerate_rows(model.history))
    return [MODEL, HISTORY]


def draw(folder: Path, model: Any, x: Any, y: Any) -> tuple[list[str], str]:
    """Draw the figures of a run. Returns the files' names, and why figures are missing, or ""."""
    pictures, why = _pictures(folder, model, x, y)
    for stale in {CURVES, *PREDICTION_FIGURES.values()} - set(pictures):  # of a run that was overwritten
        (folder / stale).unlink(missing_ok=True)
    return pictures, why


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure atomically: an interruption while it is drawn leaves no partial file."""
    figure.savefig(file := io.BytesIO(), format=path.suffix[1:])
    write_atomic(path, file.getvalue())


def enumerate_rows(history: dict[str, list[float]]) -> Iterator[list[float]]:
    """For each epoch its number, counted from 0, and its figures."""
    for epoch, values in enumerate(zip(*history.values(), strict=True)):
        yield [epoch, *values]


def _pictures(folder: Path, model: Any, x: Any, y: Any) -> tuple[list[str], str]:
    from .. import plot

    wanted = [CURVES] if model.history else []
    wanted += [PREDICTION_FIGURES[x.shape[1:]]] if x is not None and x.shape[1:] in PREDICTION_FIGURES else []
    try:
        for name in wanted:
            figure = plot.curves(model.history) if name == CURVES else plot.boundary(model, x, y)
            save_figure(figure, folder / name)
    except ImportError:
        return [], f'no {" and ".join(wanted)}: they need matplotlib, pip install "arraynn[plot]"'
    return wanted, ""
