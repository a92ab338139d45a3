"""The course: its lessons keep their form, and examples of an optional library print what they state where it is.

`ci/examples` runs all of them on NumPy and array-api-strict.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from arraynn.learn.play.presets import PRESETS

EXAMPLES = Path(__file__).parents[1] / "examples"
LESSONS = sorted(EXAMPLES.glob("[0-9]*.py"))
STATED = re.compile(r"^# ?> (.*)$", re.MULTILINE)


def test_there_is_a_lesson_for_each_row_of_the_book_and_five_more():
    assert [int(lesson.name[:2]) for lesson in LESSONS] == list(range(23))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_lesson_is_short_has_cells_and_states_what_it_prints(lesson):
    text = lesson.read_text(encoding="utf-8")
    number = lesson.name[:2]
    _, docstring, cells = text.split('"""', 2)
    assert len(cells.splitlines()) < (100 if int(number) < 19 else 200)
    assert (f"`arraynn play --preset {number}`" in docstring) == (number in PRESETS)
    assert text.startswith(f'"""Lesson {int(lesson.name[:2])}: ')
    assert len(re.findall(r"^# %%", text, re.MULTILINE)) > 4  # it opens as a notebook
    assert len(STATED.findall(text)) > 2
    assert re.search(r"\bmistakes?\b", text)
    course = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"]({lesson.name})" in course
    assert ("save(" in text) == (f"](images/{lesson.stem}.png)" in course) == lesson_picture(lesson).exists()


def lesson_picture(lesson: Path) -> Path:
    return EXAMPLES / "images" / f"{lesson.stem}.png"


@pytest.mark.parametrize(
    ("example", "library"), [("embed_in_your_project", "torch"), ("own_block", "torch"), ("jax_jit", "jax")]
)
def test_an_example_of_a_library_prints_what_it_states(example, library, tmp_path):
    pytest.importorskip(library)
    file = EXAMPLES / f"{example}.py"
    done = subprocess.run([sys.executable, file], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert library in done.stdout.lower()
    stated = STATED.findall(file.read_text(encoding="utf-8"))
    assert stated
    assert [line for line in stated if line not in done.stdout.splitlines()] == []


def test_each_script_of_the_course_leads_to_a_lesson_of_its_own():
    import re
    from pathlib import Path

    root = Path(__file__).parents[1] / "examples"
    rows = re.findall(r"^\| `(\w+)\.py` \| \[(\d\d) [^]]*\]\((\w+\.py)\) \|$", (root / "README.md").read_text(), re.M)
    assert [number for _, number, _ in rows] == [f"{i:02}" for i in range(1, 19)]
    assert len({name for name, _, _ in rows}) == 18
    assert all(lesson.startswith(f"{number}_") and (root / lesson).exists() for _, number, lesson in rows)
