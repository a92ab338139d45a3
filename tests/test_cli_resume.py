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


def broken_off(out, epochs="4", *words):
    """A run that SIGKILL met in its third epoch: what its folder holds."""
    before = {path.name for path in Path(out).glob("*")}

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
            train("--epochs", epochs, "--out", out, "--checkpoint-every", "1", *words)
    assert {path.name for path in Path(out).iterdir()} - before == {"checkpoint.safetensors"}


def test_an_interrupted_run_resumes_to_the_same_files(here):
    assert train("--epochs", "4", "--out", "straight") == 0
    broken_off("killed")
    assert train("--epochs", "4", "--out", "killed", "--resume") == 0
    for name in ("model.safetensors", "history.csv"):
        assert (here / "killed" / name).read_bytes() == (here / "straight" / name).read_bytes()
    assert not (here / "killed" / "checkpoint.safetensors").exists()


def test_resume_without_a_checkpoint_starts_from_the_beginning(here):
    assert train("--epochs", "2", "--out", "new", "--resume") == 0
    assert nn.Model.load("new/model.safetensors").epoch == 2


def test_resuming_a_finished_run_changes_nothing(here, capsys):
    assert train("--epochs", "2", "--out", "done") == 0
    before = {path: path.stat().st_mtime_ns for path in (here / "done").iterdir()}
    assert main(["train", "vertical", "--epochs", "2", "--out", "done", "--resume"]) == 0
    assert "nothing to resume" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (here / "done").iterdir()} == before
    assert train("--epochs", "1", "--out", "done", "--resume") == 2
    assert "of 2 epochs; more --epochs continue it, --overwrite starts over" in capsys.readouterr().err


def assert_same_run(one, other):
    for name in ("model.safetensors", "history.csv"):
        assert (Path(one) / name).read_bytes() == (Path(other) / name).read_bytes()


def test_more_epochs_continue_a_finished_run_to_the_same_files(capsys):
    assert train("--epochs", "5", "--out", "straight") == 0
    assert train("--epochs", "2", "--out", "done") == 0
    assert main([*TRAIN[:-1], "--epochs", "5", "--out", "done", "--resume", "--print-every", "1"]) == 0
    out = capsys.readouterr().out
    assert "model.safetensors goes on with epochs 2 → 5\n" in out
    assert "epoch 3/5" in out
    assert "training begins" not in out
    assert_same_run("done", "straight")


def test_more_epochs_continue_an_interrupted_run_to_the_same_files(capsys):
    assert train("--epochs", "6", "--out", "straight") == 0
    broken_off("killed")
    assert main([*TRAIN[:-1], "--epochs", "6", "--out", "killed", "--resume"]) == 0
    assert "goes on with epochs 4 → 6\n" in capsys.readouterr().out
    assert_same_run("killed", "straight")


def test_a_run_resumed_and_interrupted_again_counts_all_its_epochs():
    assert train("--epochs", "6", "--out", "straight") == 0
    assert train("--epochs", "1", "--out", "killed") == 0
    broken_off("killed", "6", "--resume")
    assert train("--epochs", "6", "--out", "killed", "--resume") == 0
    assert_same_run("killed", "straight")


@pytest.mark.parametrize("done", [False, True])
def test_another_learning_rate_or_printing_frequency_can_be_resumed(capsys, done):
    if done:
        assert train("--epochs", "2", "--out", "run", "--print-every", "2") == 0
    else:
        broken_off("run")
    words = ["--epochs", "4", "--out", "run", "--resume", "--print-every", "1", "--learning-rate", "0.003"]
    assert main([*TRAIN[:-1], *words]) == 0
    out = capsys.readouterr().out
    assert "0.01" in out
    assert "→" in out
    model = nn.Model.load("run/model.safetensors")
    assert model.history["learning_rate"][0] == 0.01
    assert model.history["learning_rate"][-1] == 0.003
    assert model.optimizer == nn.Adam(0.003)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--hidden", "5"], "another network"),
        (["--seed", "5"], "another seed"),
        (["--optimizer", "sgd"], "another optimizer"),
    ],
)
def test_a_finished_run_is_not_resumed_with_other_options(words, what, capsys):
    assert train("--epochs", "2", "--out", "done") == 0
    before = Path("done/model.safetensors").read_bytes()
    assert train("--epochs", "4", "--out", "done", "--resume", *words) == 1
    assert what in capsys.readouterr().err
    assert Path("done/model.safetensors").read_bytes() == before


def test_repeating_the_command_suggests_resume_first(capsys):
    broken_off("run")
    (Path("run") / "model.safetensors").write_bytes(b"")  # as Ctrl-C leaves it
    assert train("--out", "run") == 2
    said = capsys.readouterr().err
    assert 0 < said.index("--resume continues it") < said.index("--overwrite")
    Path("run/checkpoint.safetensors").unlink()
    assert train("--out", "run") == 2
    said = capsys.readouterr().err
    assert 0 < said.index("--resume continues it with more --epochs") < said.index("--overwrite")


def test_an_unavailable_backend_is_reported_before_a_download(monkeypatch, capsys):
    monkeypatch.setattr(nn.datasets, "mnist", lambda: pytest.fail("downloads"))
    assert main(["train", "mnist", "--backend", "nonsense"]) == 1
    assert "no backend has that name" in capsys.readouterr().err


def test_an_interrupted_run_is_not_overwritten_without_the_option(here, capsys):
    broken_off("killed")
    assert train("--epochs", "4", "--out", "killed") == 2
    assert "--resume continues it" in capsys.readouterr().err
    assert train("--epochs", "2", "--out", "killed", "--overwrite") == 0
    assert nn.Model.load("killed/model.safetensors").epoch == 2


def test_other_options_are_refused(capsys):
    broken_off("killed")
    assert train("--epochs", "4", "--out", "killed", "--resume", "--hidden", "5") == 1
    assert "begun with another network" in capsys.readouterr().err
    assert train("--epochs", "4", "--out", "killed", "--resume") == 0


@pytest.mark.parametrize("words", [["--resume"], ["--resume", "--overwrite", "--out", "a"]])
def test_options_that_exclude_each_other_are_refused(words):
    assert train(*words) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_a_checkpoint_and_stops(number, code, here):
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
    assert "--out run --resume continues" in err
