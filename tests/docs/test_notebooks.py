"""The lessons as notebooks: the format's rules kept, no line lost, and run as a kernel runs them."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
EXERCISES = sorted((ROOT / "examples/exercises").glob("[0-9][0-9].py"))

#: what each kind of cell must have, and no more: nbformat 4.5
KEYS = {
    "markdown": {"cell_type", "id", "metadata", "source"},
    "code": {"cell_type", "id", "metadata", "source", "execution_count", "outputs"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("notebooks")
    subprocess.run([sys.executable, ROOT / "ci/docs/notebooks", made], check=True, capture_output=True)
    return made


def read(folder, lesson):
    place = lesson.parent.relative_to(ROOT / "examples") / f"{lesson.stem}.ipynb"
    return json.loads((folder / place).read_text(encoding="utf-8"))


def code(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("lesson", [*LESSONS, *EXERCISES], ids=lambda path: path.stem)
def test_a_notebook_is_valid(folder, lesson):
    notebook = read(folder, lesson)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook["metadata"]["kernelspec"]) == {"display_name", "language", "name"}
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", name) for name in names)
    for cell in notebook["cells"]:
        assert set(cell) == KEYS[cell["cell_type"]]
        assert "".join(cell["source"]).strip()
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        assert (cell.get("outputs"), cell.get("execution_count")) in (([], None), (None, None))
    assert notebook["cells"][0]["source"][0].startswith(("# Lesson", "# Exercise"))


@pytest.mark.parametrize("lesson", [*LESSONS, *EXERCISES], ids=lambda path: path.stem)
def test_notebooks_pass_nbformat_validation(folder, lesson):
    pytest.importorskip("nbformat").validate(read(folder, lesson))


@pytest.mark.parametrize("lesson", [*LESSONS, *EXERCISES], ids=lambda path: path.stem)
def test_a_notebook_has_the_lessons_program(folder, lesson):
    text = lesson.read_text(encoding="utf-8")
    whole = ast.parse(text)
    whole.body = whole.body[1:]  # its docstring is the first cell
    assert ast.dump(ast.parse("\n".join(code(read(folder, lesson))))) == ast.dump(whole)
    stated = re.findall(r"^# > .*", text, re.MULTILINE)
    assert [line for cell in code(read(folder, lesson)) for line in cell.splitlines() if line in stated] == stated


def run(folder, cells, before=""):
    """Run cells one after the other in one process, in the folder of their notebook."""
    program = "import json, sys\nfor cell in json.load(sys.stdin): exec(compile(cell, 'cell', 'exec'), globals())"
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{program}"],
        input=json.dumps(cells),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_an_unsolved_exercise_does_not_end_its_notebook(folder):
    cells = code(read(folder, EXERCISES[1]))
    kernel = (
        "import sys; sys.modules['ipykernel'] = sys"  # a kernel must not be ended by an exercise that is not solved
    )
    left = run(folder / "exercises", [*cells, "print('next cell')"], kernel)
    assert left.returncode == 0, left.stderr
    assert left.stdout.startswith("merged: not written yet")
    assert left.stdout.endswith("next cell\n")
    done = [cell.replace("raise NotImplementedError", "return w1 @ w2, b1 @ w2 + b2") for cell in cells]
    assert run(folder / "exercises", done, kernel).stdout == "merged: passes\n"


def test_a_notebook_prints_what_the_lesson_states(folder):
    lesson = ROOT / "examples/00_by_hand.py"
    done = run(folder, code(read(folder, lesson)))
    assert done.returncode == 0, done.stderr
    stated = re.findall(r"^# > (.*)", lesson.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line for line in stated if line not in done.stdout.splitlines()] == []
