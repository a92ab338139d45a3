"""The folder that a run writes into: found, claimed and proved writable before anything is trained."""

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
from ..io.atomic import write_whole
from ._say import UsageError

MODEL, HISTORY, CURVES = "model.safetensors", "history.csv", "curves.png"
FOLD = "fold-"  #: and a number: the folder of one of several networks
CHECKPOINT = "checkpoint.safetensors"  #: of a run that goes on, or was broken off
ANSWERS = {(2,): "boundary.png", (1,): "fit.png"}  #: what the model has learnt, where its input can be drawn


@contextmanager
def claimed(out: str | None, name: str, overwrite: bool, resume: bool = False) -> Iterator[Path]:
    """The folder to write into; if nothing was written into it, the folders that were made for it are removed again.

    out : the folder, or None for runs/<name>-001 and up. Raises UsageError where it holds a model, or a run that was
    broken off, and `overwrite` is False, nor is it that run that is to go on; OSError where it cannot be written.
    """
    if resume and overwrite:
        raise UsageError("--resume keeps what --overwrite would not; give one of them")
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the run to go on with")
    if out is not None and not (overwrite or resume):
        left = left_behind(Path(out))
        if left is not None:
            raise UsageError(f"{left} exists; --resume goes on from it, --overwrite begins anew")
        if (Path(out) / MODEL).exists():
            more = "" if is_mean(Path(out)) else "--resume goes on from it with more --epochs, "
            raise UsageError(f"{Path(out) / MODEL} exists; {more}--overwrite begins anew, another --out keeps both")
    made: list[Path] = []
    try:
        folder = _numbered(name, made) if out is None else _made(Path(out), made)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if overwrite:  # or it would be that run which --resume goes on with
            (folder / CHECKPOINT).unlink(missing_ok=True)
        yield folder
    finally:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()  # only where it is empty


def left_behind(folder: Path) -> Path | None:
    """A file that a run which was broken off has left, None if there is none: a checkpoint, also beside a model (of a
    run that Ctrl-C stopped), or the model of a fold without the model of their mean."""
    whole = (folder / MODEL).exists()
    names = [CHECKPOINT, f"{FOLD}*/{CHECKPOINT}", *([] if whole else [f"{FOLD}*/{MODEL}"])]
    return next((path for name in names for path in sorted(folder.glob(name))), None)


def is_mean(folder: Path) -> bool:
    """Whether the model in a folder is the mean of several networks, which is not trained further."""
    return any(folder.glob(f"{FOLD}*/{MODEL}"))


def model_file(name: str) -> Path:
    """The file of a model that the command line names, by itself or by the folder of its run.

    Raises CheckpointError for the folder of a run that was broken off before it had a model.
    """
    path = Path(name)
    if not path.is_dir():
        return path
    left = left_behind(path)
    if left is not None and not (path / MODEL).exists():
        raise CheckpointError(
            f"{path} holds a run that was broken off before its model was made; arraynn train with the options of "
            f"that run and --out {path} --resume finishes it"
        )
    return path / MODEL


def _made(path: Path, made: list[Path]) -> Path:
    if not path.is_dir():
        if not path.parent.is_dir():
            _made(path.parent, made)
        path.mkdir()
        made.append(path)
    return path


def _numbered(name: str, made: list[Path]) -> Path:
    runs = _made(Path("runs"), made)
    for number in count(1):
        folder = runs / f"{name}-{number:03}"
        with suppress(FileExistsError):  # mkdir decides, so that two runs never get the same
            folder.mkdir()
            made.append(folder)
            return folder
    raise AssertionError("unreachable: there is always another number")


def keep(folder: Path, model: Any) -> list[str]:
    """Write the model and its history; returns the files' names."""
    model.save(folder / MODEL)
    with (folder / HISTORY).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["epoch", *model.history])
        rows.writerows(enumerate_rows(model.history))
    return [MODEL, HISTORY]


def draw(folder: Path, model: Any, x: Any, y: Any) -> tuple[list[str], str]:
    """Draw the pictures of a run; returns the files' names, and why they were left out or ""."""
    pictures, why = _pictures(folder, model, x, y)
    for stale in {CURVES, *ANSWERS.values()} - set(pictures):  # of a run that was overwritten
        (folder / stale).unlink(missing_ok=True)
    return pictures, why


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as a whole: what breaks off while it is drawn leaves no half of it."""
    figure.savefig(file := io.BytesIO(), format=path.suffix[1:])
    write_whole(path, file.getvalue())


def enumerate_rows(history: dict[str, list[float]]) -> Iterator[list[float]]:
    """An epoch's number, counted from 0, and its figures."""
    for epoch, values in enumerate(zip(*history.values(), strict=True)):
        yield [epoch, *values]


def _pictures(folder: Path, model: Any, x: Any, y: Any) -> tuple[list[str], str]:
    from .. import plot

    wanted = [CURVES] if model.history else []
    wanted += [ANSWERS[x.shape[1:]]] if x is not None and x.shape[1:] in ANSWERS else []
    try:
        for name in wanted:
            figure = plot.curves(model.history) if name == CURVES else plot.boundary(model, x, y)
            save_figure(figure, folder / name)
    except ImportError:
        return [], f'no {" and ".join(wanted)}: pip install "arraynn[plot]" brings what draws them'
    return wanted, ""
