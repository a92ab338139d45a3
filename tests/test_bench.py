"""`arraynn bench`: what it prints and keeps. The times themselves are nobody's promise."""

from __future__ import annotations

import csv
import sys

import pytest

from arraynn import backend
from arraynn.cli import _bench, _ranges, main

SHORT = ["--rounds", "2", "--seconds", "0.001"]


def test_bench_times_the_named_backends_and_saves_figures_and_chart(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = ["bench", "spiral", "--backend", "numpy", "--backend", "array_api_strict", *SHORT, "--out", str(tmp_path)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "spiral: 2-64-3, 300 rows a step" in shown
    assert "1.00" in shown
    with open(tmp_path / "bench.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["workload"], row["backend"]) for row in rows} == {("spiral", "numpy"), ("spiral", "array_api_strict")}
    assert len(rows) == 4
    assert all(float(row["milliseconds"]) > 0 for row in rows)
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_no_chart_and_no_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["bench", "spiral", "--backend", "numpy", *SHORT, "--out", str(tmp_path)]) == 0
    assert "no chart" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["bench.csv"]


@pytest.mark.parametrize("words", [["nothing"], ["--rounds", "0"], ["--seconds", "0"], ["--seconds", "nan"]])
def test_a_wrong_argument_gives_one_line_of_error(words, capsys):
    assert main(["bench", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unavailable_backend_is_reported(capsys):
    assert main(["bench", "spiral", "--backend", "nonesuch", *SHORT]) == 1
    assert "nonesuch" in capsys.readouterr().err


def test_a_backend_that_fails_or_computes_something_else_is_left_out(monkeypatch):
    class Odd(_bench.Steps):
        def loss(self):
            return super().loss() + (self.backend.name == "array_api_strict")

    class Failing(_bench.Steps):
        def __call__(self, count):
            if self.backend.name == "array_api_strict":
                raise RuntimeError("out of memory")
            return super().__call__(count)

    opened = {name: backend(name) for name in ("numpy", "array_api_strict")}
    for steps, why in ((Odd, "its first loss"), (Failing, "out of memory")):
        monkeypatch.setattr(_bench, "Steps", steps)
        said: list[str] = []
        assert list(_bench.measure(opened, (2, 4, 3), 8, 1, 1e-3, said.append)) == ["numpy"]
        assert len(said) == 1
        assert why in said[0]


def test_with_a_gpu_the_crossover_is_printed(monkeypatch, capsys):
    opened = {"numpy": backend("numpy"), "cupy": backend("array_api_strict")}  # a stand-in for a GPU
    monkeypatch.setattr(_bench, "_backends_to_measure", lambda wanted: opened)
    monkeypatch.setattr(_bench, "on_gpu", lambda b: b.name == "array_api_strict")

    def measured(chosen, widths, rows, rounds, seconds, say):
        return {name: [0.5 if name == "cupy" else widths[1] / 100] for name in chosen}

    monkeypatch.setattr(_bench, "measure", measured)
    assert main(["bench"]) == 0
    assert "cupy is faster than numpy on 64-w-w-10 with 512 rows a step from a hidden width of 64 on" in (
        capsys.readouterr().out
    )


def test_no_crossover_where_the_gpu_falls_back_or_never_wins():
    assert _bench.crossover({16: 1.0, 32: 2.0, 64: 1.0}, {16: 0.5, 32: 1.0, 64: 2.0}) is None
    assert _bench.crossover({16: 1.0}, {}) is None


def test_the_parser_knows_the_workloads():
    assert tuple(_bench.WORKLOADS) == _ranges.BENCHED
