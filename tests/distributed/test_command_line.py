"""`arraynn train --workers`: one folder, one voice, the same files as with one worker."""

import subprocess
import sys
from pathlib import Path

import pytest
from test_processes import ENVIRONMENT, LIMIT, mpi

from arraynn.cli import main

TRAIN = ["train", "digits", "--epochs", "2", "--backend", "numpy", "--hidden", "16"]


def run(tmp_path, *words):
    command = [sys.executable, "-m", "arraynn", *TRAIN, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, cwd=tmp_path, env=ENVIRONMENT, check=False
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.mark.parametrize("engine", [mpi])
def test_several_workers_write_the_same_files_as_one(engine, tmp_path):
    assert run(tmp_path, "--shards", "8", "--out", "one", "--quiet").stdout == "one\n"
    done = run(tmp_path, "--workers", "2", "--out", "two")
    assert done.returncode == 0, done.stderr
    assert "\nworkers   2, mpi\n" in done.stdout
    assert done.stdout.count("epoch 2/2") == 1
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("engine", [mpi])
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--out", "one"], 2, "one/model.safetensors exists"),
        (["--shards", "1"], 1, "there are 2 workers, and each batch is cut into 1 shards"),
        (["--samples", "3"], 2, "--samples goes with"),
    ],
)
def test_an_error_of_a_worker_is_one_line_and_the_usual_exit_code(engine, words, code, told, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "model.safetensors").touch()
    done = run(tmp_path, "--workers", "2", "--quiet", *words)
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1
    assert told in lines[0]


def test_missing_mpi_is_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*TRAIN, "--workers", "4"]) == 1
    assert '--workers 4 needs mpiexec, which is not installed: pip install "arraynn[mpi]"' in capsys.readouterr().err


@pytest.mark.parametrize("place", ["MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK"])
def test_a_missing_library_is_reported_by_the_first_process_of_a_machine(place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    told = []
    for rank in ("0", "1"):
        monkeypatch.setenv(place, rank)
        assert main([*TRAIN, "--workers", "mpi"]) == 1
        told.append(capsys.readouterr().err)
    assert 'pip install "arraynn[mpi]" brings both' in told[0]
    assert told[1] == ""


@pytest.mark.parametrize("wrong", ["0", "-1", "mpich", "2.5"])
def test_wrong_workers_are_refused(wrong, capsys):
    assert main([*TRAIN, f"--workers={wrong}"]) == 2
    assert "is neither mpi, nccl, torch, nor an integer of at least 1; try 4" in capsys.readouterr().err


def test_one_worker_trains_as_with_shards(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN, "--shards", "8", "--out", "one", "--quiet"]) == 0
    assert "accuracy" in (tmp_path / "one" / "history.csv").read_text()
