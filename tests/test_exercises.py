"""The course's exercises: a check fails on the stub and on usual mistakes, with words of its own, not on the solution.

`ci/examples` runs the files themselves.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDER = EXAMPLES / "exercises"
NUMBERS = [lesson.name[:2] for lesson in sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))]


@pytest.fixture
def shared(monkeypatch):
    """The module that exercises import."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("_exercise")
    sys.modules.pop("_exercise")


def loaded(path):
    spec = importlib.util.spec_from_file_location(f"exercise_{path.stem}", path)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def stated(number):
    """What the solution's file states: the lines above each function, by its name."""
    text = (FOLDER / "solutions" / f"{number}.py").read_text(encoding="utf-8")
    return {
        name: re.findall(r"^# > (.*)$", lines, re.M) for lines, name in re.findall(r"((?:# > .*\n)+)def (\w+)", text)
    }


@pytest.mark.parametrize("number", NUMBERS)
def test_the_check_passes_the_solution_and_fails_the_stub_and_each_mistake(number, shared):
    module = loaded(FOLDER / f"{number}.py")
    solution, *mistakes = shared.versions(FOLDER / f"{number}.py")
    stub = getattr(module, solution.__name__)
    assert list(inspect.signature(stub).parameters) == list(inspect.signature(solution).parameters)
    passes, words = shared.verdict(module.check, stub)
    assert not passes
    assert words.startswith("not written yet")
    assert shared.verdict(module.check, solution) == (True, "passes")
    said = {each.__name__: shared.lines(each.__name__, shared.verdict(module.check, each)[1]) for each in mistakes}
    assert len(said) >= 3
    assert not any("passes" in lines[0] for lines in said.values())
    hints = [" ".join(lines).partition(": ")[2] for lines in said.values()]
    assert len(set(hints)) == len(hints)
    assert {solution.__name__: [f"{solution.__name__}: passes"]} | said == stated(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_exercise_is_short_opens_as_a_notebook_and_stands_under_its_lesson(number):
    text = (FOLDER / f"{number}.py").read_text(encoding="utf-8")
    assert 35 < len(text.splitlines()) < 70
    assert text.startswith(f'"""Exercise {int(number)}: ')
    assert len(re.findall(r"^# %%", text, re.MULTILINE)) == 3  # the task, what the check does, the check
    assert text.count("raise NotImplementedError") == 1
    (lesson,) = EXAMPLES.glob(f"{number}_*.py")
    assert f"Exercise: `examples/exercises/{number}.py`." in lesson.read_text(encoding="utf-8")
    assert f"](exercises/{number}.py)" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_an_exercise_runs_as_a_program():
    left = run(FOLDER / "01.py")
    assert (left.returncode, left.stderr) == (1, "")
    assert left.stdout.startswith("merged: not written yet")
    solved = run(FOLDER / "01.py", "--solution")
    assert (solved.returncode, solved.stderr) == (0, "")
    assert solved.stdout.splitlines() == [line for lines in stated("01").values() for line in lines]


@pytest.mark.parametrize("body", ["return w1 @ w2, b1 @ w2 + b2", "return w1 @ w2, b1 + b2"])
def test_the_code_of_a_learner_is_checked(body, tmp_path):
    for path in (FOLDER / "_exercise.py", FOLDER / "01.py"):
        text = path.read_text(encoding="utf-8").replace("    raise NotImplementedError\n", f"    {body}\n")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    done = run(tmp_path / "01.py")
    right = "b1 @ w2" in body
    assert done.returncode == (0 if right else 1)
    assert done.stdout.startswith("merged: passes" if right else "merged: b is wrong")


def test_a_mistake_that_passes_fails_the_solution(tmp_path):
    (tmp_path / "solutions").mkdir()
    for path in (FOLDER / "_exercise.py", FOLDER / "01.py"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    right = "(w1, b1, w2, b2):\n    return w1 @ w2, b1 @ w2 + b2\n"
    (tmp_path / "solutions/01.py").write_text(f"def merged{right}\n\ndef a_mistake{right}", encoding="utf-8")
    done = run(tmp_path / "01.py", "--solution")
    assert (done.returncode, done.stdout) == (1, "merged: passes\na_mistake: passes\n")


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (None, "d is None: is it returned?"),
        ([1.0], "d has shape (1,), expected (2,)"),
        ([1.0, np.nan], "d is wrong, most at [1]: expected 2.0, got nan"),
        ([1.0, np.inf], "d is wrong, most at [1]: expected 2.0, got inf"),
        ([-1.0, -2.0], "d is wrong, most at [1]: expected 2.0, got -2.0\n  the sign"),
        ([3.0], "d has shape (1,), expected (2,)\n  a sum"),
        ([0.0, 1.0], "d is wrong, most at [0]: expected 1.0, got 0.0"),
    ],
)
def test_a_comparison_says_what_is_wrong(shared, got, words):
    with pytest.raises(AssertionError) as caught:
        shared.equal("d", got, [1.0, 2.0], {"the sign": [-1.0, -2.0], "a sum": [3.0]})
    assert str(caught.value) == words


def test_an_error_names_the_learners_line(shared):
    def halved(x):
        return x / 0

    def nothing(x):
        pass

    def check(answer):
        shared.equal("y", answer(2) + 0, 1)

    assert shared.verdict(check, halved) == (False, "it stops at `return x / 0`: ZeroDivisionError: division by zero")
    passes, words = shared.verdict(check, nothing)
    assert not passes
    assert words.startswith("what it returns is not what its docstring says: TypeError: ")
