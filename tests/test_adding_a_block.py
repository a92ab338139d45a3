"""A new block takes three files: itself, its test, and its names in the package. Tried in a copy of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SOFTSIGN = '''"""Softsign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._array import namespace
from .._types import Array, Backward
from ._base import Activation


def softsign(x: Array, /) -> tuple[Any, Backward]:
    """Softsign, y = x / (1 + |x|), elementwise.

    x : float array, any shape.
    Returns y, shaped as x, and backward(dy) -> dx = dy / (1 + |x|)².

    Turian, Bergstra and Bengio, NAACL 2009.
    """
    xp = namespace(x)
    s = 1 / (1 + xp.abs(x))

    def softsign_backward(dy: Array) -> Any:
        # dy/dx = (1 + |x| - x sign(x)) / (1 + |x|)² = s²
        return dy * s * s

    return x * s, softsign_backward


@dataclass(frozen=True)
class Softsign(Activation):
    """The layer of `softsign`."""

    elementwise = True

    def function(self, x: Array, /) -> tuple[Any, Backward]:
        return softsign(x)
'''
BLOCK, TEST = "arraynn/layers/_softsign.py", "tests/layers/test_softsign.py"

#: the tests that ask for every block
EVERY = (
    "tests/test_project.py::test_all_is_complete",
    "tests/test_project.py::test_every_block_has_its_test_file",
    "tests/test_project.py::test_every_block_is_public",
    "tests/test_project.py::test_every_block_tells_its_shapes_and_what_it_returns",
    "tests/test_project.py::test_every_row_of_the_table_has_a_formula_and_a_source",
    "tests/test_project.py::test_everything_public_has_a_docstring",
    "tests/test_project.py::test_lists_of_public_names_are_sorted",
    "tests/test_project.py::test_the_table_of_blocks_names_every_public_one",
    "tests/test_against_autodiff.py::test_every_public_block_is_here",
    "tests/explain/test_explain.py::test_every_block_has_a_formula",
    "tests/explain/test_explain.py::test_every_block_has_the_formula_of_its_backward",
    "tests/io/test_registry.py::test_every_public_dataclass_has_a_versioned_name",
    "tests/compiler/test_sound_splitting.py::test_every_block_of_the_library_says_so",
    "tests/backends/test_cupy_conformance.py::test_every_layer_loss_and_optimizer_is_recorded",
)
OWN = (
    TEST,
    "tests/test_cli_options.py::test_every_activation_trains[softsign]",
    "tests/test_wrong_usage.py",
    "tests/backends/test_cupy_conformance.py::test_a_training_step_waits_for_nothing_and_stays_in_float32[Softsign]",
)


@pytest.fixture
def copy(tmp_path):
    for name in ("arraynn", "tests", "ci"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(folder, *command):
    """(status, what it printed) of a command of Python's in the copy."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONUTF8": "1", "COLUMNS": "1000"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode, done.stdout + done.stderr


def pytest_in(folder, *which):
    return run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *which)


def test_softsign_takes_three_files(copy):
    code, said = run(copy, "ci/new-block", "Softsign")
    assert code == 0, said
    assert f"{BLOCK}: write what TODO stands for" in said
    (copy / BLOCK).write_text(SOFTSIGN, encoding="utf-8")
    text = (copy / TEST).read_text(encoding="utf-8")
    values = text.replace("TODO", "[-0.5, 0.0, 0.5]", 1).replace("TODO", "[0.25, 1.0, 0.25]", 1)
    (copy / TEST).write_text(values, encoding="utf-8")
    code, said = pytest_in(copy, *EVERY, *OWN)
    assert code == 0, said
    code, said = run(copy, "ci/blocks")
    assert "| `softsign`, `Softsign` | Softsign, y = x / (1 + \\|x\\|), elementwise. | Turian, Bergstra" in said
    code, said = run(copy, "-c", "import arraynn as nn; nn.Dense(3, activation='softsign')")
    assert "nn.Dense(64), nn.Softsign()" in said


def test_what_is_forgotten_is_told_with_what_to_do(copy):
    (copy / BLOCK).write_text(SOFTSIGN.replace("\n    Turian, Bergstra and Bengio, NAACL 2009.", ""), encoding="utf-8")
    code, said = pytest_in(copy, *EVERY[1:3])
    assert code == 1
    assert said.count("\nFAILED ") == 2, said
    assert "add these lines, and the names to __all__ there: arraynn/layers/__init__.py: from ._softsign import" in said
    assert f"write {TEST}; ci/new-block writes a first version" in said
    package = copy / "arraynn/layers/__init__.py"
    text = package.read_text(encoding="utf-8").replace(
        "from ._tanh", "from ._softsign import Softsign, softsign\nfrom ._tanh"
    )
    text = text.replace('    "Tanh",\n', '    "Softsign",\n    "Tanh",\n').replace(
        '    "tanh",\n', '    "softsign",\n    "tanh",\n'
    )
    package.write_text(text, encoding="utf-8")
    code, said = pytest_in(copy, *EVERY[:8])
    assert code == 1
    assert said.count("\nFAILED ") == 2, said
    assert f"write {TEST}" in said
    assert "the docstring of `softsign`, `Softsign` has no source" in said


def test_a_block_that_is_there_is_not_written_over(copy):
    before = (copy / "arraynn/layers/_relu.py").read_bytes()
    assert run(copy, "ci/new-block", "ReLU") == (1, "arraynn/layers/_relu.py exists\n")
    assert run(copy, "ci/new-block", "softsign")[0] == 2
    assert (copy / "arraynn/layers/_relu.py").read_bytes() == before


@pytest.mark.parametrize(
    ("layer", "block"),
    [("HardTanh", "hard_tanh"), ("CELU", "celu"), ("HardReLU", "hard_relu"), ("Mish", "mish")],
)
def test_the_names_of_a_new_block(layer, block, copy):
    assert f"tests/layers/test_{block}.py" in run(copy, "ci/new-block", layer)[1]
