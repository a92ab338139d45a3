"""The course's pages: an exercise stands under its lesson, what would give it away folded."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from pathlib import Path

import pytest

from arraynn.learn.play.presets import PRESETS

ROOT = Path(__file__).parents[2]
EXERCISES = ROOT / "examples/exercises"


@pytest.fixture(scope="module")
def lessons():
    spec = importlib.util.spec_from_file_location("lessons", ROOT / "ci/docs/lessons.py")
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


@pytest.mark.parametrize("path", sorted(EXERCISES.glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_a_page_shows_the_task_and_folds_the_check_and_the_solution(lessons, path):
    page = "\n".join(lessons.exercise(EXERCISES, path.stem))
    folded = re.findall(r"<details>\n<summary>([^<]*)</summary>\n\n(.*?)\n\n</details>", page, re.S)
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.S)
    assert [title for title, _ in folded] == [
        "The check",
        "The solution, and mistakes with what the check says of them",
    ]
    (check, solution) = (text for _, text in folded)
    assert shown.startswith(f"## Exercise {int(path.stem)}: ")
    assert "raise NotImplementedError" in shown
    assert "def check(" not in shown
    assert "def check(" in check
    assert ": passes\ndef " in solution
    assert page.count("```python") == 3  # task, check, solution: each whole, none twice


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_a_page_names_its_exercise_and_its_preset_once(path, tmp_path, monkeypatch):
    """Pages of lessons behind the book named presets that there are not, and the others said it twice."""
    monkeypatch.syspath_prepend(ROOT / "ci/docs")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "lessons", raising=False)
    page = tmp_path / "page.md"
    runpy.run_path(str(ROOT / "ci/docs/pages.py"))["lesson"](path, page, True)
    text, number = page.read_text(encoding="utf-8"), path.stem[:2]
    assert text.count(f"examples/exercises/{number}.py") == 1
    for name in (f"--preset {number}", f"#preset={number}"):
        assert text.count(name) == (number in PRESETS)


def test_a_page_without_an_exercise_has_none(lessons):
    assert lessons.exercise(EXERCISES, "em") == []
