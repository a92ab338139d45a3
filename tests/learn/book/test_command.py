import argparse
import threading
import time

import pytest

from arraynn.learn.book import pool
from arraynn.learn.book.command import add_parser
from arraynn.learn.book.pool import Job, jobs_of
from arraynn.learn.book.rows import ROWS
from arraynn.learn.book.store import Store


def book(*words):
    whole = argparse.ArgumentParser()
    add_parser(whole.add_subparsers())
    arguments = whole.parse_args(["book", *map(str, words)])
    return arguments.run(arguments)


def test_the_command_prints_the_table_and_stores_the_results(tmp_path, capsys):
    out = tmp_path / "out"
    assert book("sgd", "adam-0.02", "--seeds", 2, "--epochs", 20, "--out", out) == 0
    said = capsys.readouterr().out
    assert "6/6" in said
    assert "adam-0.02: Adam lr .02, decay 1e-5" in said
    assert "epoch 0: the book's stream agrees with the book to the printed digits in 2 of 2 rows" in said
    files = {"runs.csv", "curves.csv", "table.csv", "table.txt", "loss.png", "accuracy.png"}
    assert {path.name for path in out.iterdir()} == files
    assert (out / "loss.png").read_bytes()[:4] == b"\x89PNG"


def test_the_same_folder_continues_where_it_stopped(tmp_path, capsys):
    book("sgd", "--seeds", 1, "--epochs", 5, "--out", tmp_path)
    capsys.readouterr()
    book("sgd", "--seeds", 3, "--epochs", 5, "--out", tmp_path)
    said = capsys.readouterr().out
    assert "2 of 4 runs are in" in said
    assert "2/2" in said
    assert len(Store(tmp_path).results) == 4


def test_folders_count_up(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        book("sgd", "--seeds", 0, "--epochs", 1, "--quiet")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["book-001", "book-002"]
    assert "1/1" not in capsys.readouterr().out


def test_fashion_rows_print_which_files_they_need(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path))
    assert book("fashion-64", "--seeds", 1, "--out", tmp_path / "out") == 0
    assert "not run: needs the four files of Fashion-MNIST" in capsys.readouterr().out
    assert not (tmp_path / "out" / "loss.png").exists()


@pytest.mark.parametrize(
    ("words", "said"), [(["adm"], "'adm' is none of"), (["--seeds", "-1"], "not an integer of at least 0")]
)
def test_wrong_arguments_are_refused(words, said, capsys):
    with pytest.raises(SystemExit):
        book(*words)
    assert said in capsys.readouterr().err


def test_other_backends_run_in_this_process(tmp_path, capsys):
    book("adam-0.02", "--seeds", 1, "--epochs", 3, "--backend", "array_api_strict", "--out", tmp_path)
    assert {run.backend for run in Store(tmp_path).results} == {"numpy", "array_api_strict"}
    assert "1 seed, array_api_strict" in capsys.readouterr().out


# ---------------------------------------------------------------- many at once


def test_the_longest_runs_come_first():
    jobs = jobs_of(ROWS[:-2], 5, None, "numpy")
    assert len(jobs) == 21 * 6
    assert (jobs[0].row, jobs[0].stream) == ("dropout-512", "book")
    assert [job.seconds for job in jobs] == sorted((job.seconds for job in jobs), reverse=True)


@pytest.mark.thorough
def test_several_processes_give_the_results_of_one(monkeypatch, capsys):
    jobs = [Job("sgd", "book", "numpy", 30), Job("l2", "1", "numpy", 30)]
    found = {}
    for limit in (1e9, 0.0):  # never, and always in processes
        monkeypatch.setattr(pool, "IN_PROCESS_SECONDS", limit)
        results = []
        pool.run_all(jobs, results.append)
        found[limit] = {(r.row, r.stream): (r.start, r.hundred, r.end, r.curve) for r in results}
    assert found[1e9] == found[0.0]
    assert "2/2" in capsys.readouterr().out


def test_ctrl_c_stops_the_processes_and_keeps_finished_runs(monkeypatch):
    monkeypatch.setattr(pool, "IN_PROCESS_SECONDS", 0.0)
    finished = []

    def interrupted(result):  # as if the key were pressed when the first run is done
        finished.append(result.row)
        raise KeyboardInterrupt

    began = time.monotonic()
    jobs = [Job("sgd", "book", "numpy", 2), *(Job("l2-1000-512", str(seed), "numpy", 10_000) for seed in range(3))]
    with pytest.raises(KeyboardInterrupt):
        pool.run_all(jobs, interrupted, quiet=True)
    assert finished == ["sgd"]
    assert time.monotonic() - began < 60  # the others would take minutes
    assert threading.active_count() < 20


def test_the_environment_is_restored(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(pool.os.environ)
    with pool._environment(pool.WORKER_ENVIRONMENT):
        assert pool.os.environ["OMP_NUM_THREADS"] == pool.os.environ["MKL_NUM_THREADS"] == "1"
    assert dict(pool.os.environ) == before


def test_progress_is_printed_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(pool, "LINE_SECONDS", 0.0)
    pool.run_all([Job("sgd", "book", "numpy", 200)], lambda result: None)
    assert "0 of 1 runs" in capsys.readouterr().out


def test_the_command_line_has_the_book_command(tmp_path, capsys):
    from arraynn.cli import main

    assert main(["book", "sgd", "--seeds", "0", "--epochs", "0", "--quiet", "--out", str(tmp_path)]) == 0
    assert "sgd: SGD lr 1" in capsys.readouterr().out
    assert main(["book", "nothing"]) == 2
    assert "is none of the book's rows" in capsys.readouterr().err
