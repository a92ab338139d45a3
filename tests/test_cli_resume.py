"""`arraynn train --resume`: what it goes on with, what it refuses, and how it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import arraynn as nn
from arraynn.cli import main

TRAIN = ["train", "vertical", "--samples", "20", "--backend", "numpy", "--dropout", "0.2", "--quiet"]
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*words):
    return main([*TRAIN, *words])


def broken_off(out, epochs="4"):
    """A run that SIGKILL met in its third epoch: what its folder holds."""

    class Killed(BaseException):
        pass

    class Kill(nn.Callback):
        every_epoch = False

        def on_batch_end(self, model):
            if model.step == 5:
                raise Killed

    real = nn.Model.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            nn.Model, "fit", lambda model, *a, callbacks, **o: real(model, *a, callbacks=[*callbacks, Kill()], **o)
        )
        with pytest.raises(Killed):
            train("--epochs", epochs, "--out", out, "--checkpoint-every", "1")
    assert [path.name for path in Path(out).iterdir()] == ["checkpoint.safetensors"]


def test_a_run_broken_off_ends_with_the_same_files(here):
    assert train("--epochs", "4", "--out", "straight") == 0
    broken_off("killed")
    assert train("--epochs", "4", "--out", "killed", "--resume") == 0
    for name in ("model.safetensors", "history.csv"):
        assert (here / "killed" / name).read_bytes() == (here / "straight" / name).read_bytes()
    assert not (here / "killed" / "checkpoint.safetensors").exists()


def test_where_nothing_is_saved_yet_it_begins(here):
    assert train("--epochs", "2", "--out", "new", "--resume") == 0
    assert nn.Model.load("new/model.safetensors").epoch == 2


def test_a_run_that_is_done_is_left_as_it_is(here, capsys):
    assert train("--epochs", "2", "--out", "done") == 0
    before = {path: path.stat().st_mtime_ns for path in (here / "done").iterdir()}
    assert main(["train", "vertical", "--epochs", "2", "--out", "done", "--resume"]) == 0
    assert "nothing to resume" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (here / "done").iterdir()} == before
    assert train("--epochs", "3", "--out", "done", "--resume") == 2
    assert "of 2 epochs, not 3" in capsys.readouterr().err


def test_a_run_broken_off_is_not_overwritten_unasked(here, capsys):
    broken_off("killed")
    assert train("--epochs", "4", "--out", "killed") == 2
    assert "--resume goes on from it" in capsys.readouterr().err
    assert train("--epochs", "2", "--out", "killed", "--overwrite") == 0
    assert nn.Model.load("killed/model.safetensors").epoch == 2


def test_other_options_are_refused(capsys):
    broken_off("killed")
    assert train("--epochs", "4", "--out", "killed", "--resume", "--hidden", "5") == 1
    assert "begun with another network" in capsys.readouterr().err
    assert train("--epochs", "4", "--out", "killed", "--resume") == 0


@pytest.mark.parametrize("words", [["--resume"], ["--resume", "--overwrite", "--out", "a"]])
def test_what_does_not_go_together(words):
    assert train(*words) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_leaves(number, code, here):
    command = [sys.executable, "-m", "arraynn", *TRAIN[:-1], "--epochs", "100000", "--print-every", "1", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch"):
                break
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert nn.Model.load("run/checkpoint.safetensors").step > 0
    assert len(err.splitlines()) == 1
