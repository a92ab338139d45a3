"""A new block or metric takes three files: itself, its test, and its names in the package. Tried in a copy of the
checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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
CAUCHY = '''"""The Cauchy loss: far errors count little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .. import metrics
from .._array import namespace, row_means, same_shape
from .._types import Array, Backward
from ._base import Loss
from .reduction import counted, spread, weighted_mean


def cauchy(
    outputs: Array, targets: Array, /, *, sample_weight: Array | None = None, total: Any = None
) -> tuple[Any, Backward]:
    """Cauchy loss, loss = Σ_i w_i mean_j(log(1 + (ŷ_ij - y_ij)²)) / total.

    outputs, targets, sample_weight, total : as in `mean_squared_error`.
    Returns the loss, 0-d, a mean over the D outputs too, and
    backward(dloss=1.0) -> doutputs = 2 e / (1 + e²) / D · w_i / total · dloss, with e = ŷ - y.
    Raises ShapeError where shapes differ.

    Black and Anandan, Computer Vision and Image Understanding 63, 1996, the Lorentzian.
    """
    same_shape("targets", targets, "outputs", outputs)
    xp = namespace(outputs)
    error = counted(outputs - targets, sample_weight)
    squared = error * error
    loss, mean_backward = weighted_mean(row_means(xp.log1p(squared)), sample_weight, total)

    def cauchy_backward(dloss: Any = 1.0) -> Any:
        # d log(1 + e²)/de = 2 e / (1 + e²)
        return 2 * error / (1 + squared) * spread(mean_backward(dloss), error)

    return loss, cauchy_backward


@dataclass(frozen=True)
class Cauchy(Loss):
    """The loss of `cauchy`: values in, values as targets."""

    metric: ClassVar[Any] = metrics.r2

    def __call__(self, outputs: Array, targets: Array, *, sample_weight: Any = None, total: Any = None) -> Any:
        return cauchy(outputs, targets, sample_weight=sample_weight, total=total)
'''
SIGNUM = '''"""Gradient descent by signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._array import namespace, zeros_as
from .._types import Array
from ..schedules import Schedule
from ._base import Optimizer


@dataclass(frozen=True)
class Signum(Optimizer):
    """Signum: m = β m + (1 - β) g, then w = w - lr sign(m).

    learning_rate : number or schedule. beta : in [0, 1).

    Bernstein, Wang, Azizzadenesheli and Anandkumar, ICML 2018, Algorithm 2.
    """

    learning_rate: float | Schedule = 0.001
    beta: float = 0.9

    def init_one(self, p: Array) -> dict[str, Array]:
        return {"m": zeros_as(p)}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], c: Mapping[str, Any]) -> tuple[Any, Any]:
        m = slots["m"]
        m *= self.beta
        m += (1 - self.beta) * g
        p -= c["lr"] * namespace(p).sign(m)
        return p, {"m": m}
'''
MSLE = '''"""Mean squared logarithmic error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .._array import namespace, row_means, same_shape
from .._types import Array
from ._base import Metric, weighted


@dataclass(frozen=True)
class MSLE(Metric):
    """Mean squared logarithmic error, Σ w (log(1 + ŷ) - log(1 + y))² / Σ w, a mean over rows and outputs; 0 is perfect.

    outputs, targets : the same shape, (N,) or (N, …), above -1.
    """

    name: ClassVar[str] = "msle"
    mode: ClassVar[str | None] = "min"
    tasks: ClassVar[tuple[str, ...]] = ("values",)

    def sums(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> dict[str, Any]:
        same_shape("targets", targets, "outputs", outputs)
        xp = namespace(outputs)
        error = xp.log1p(outputs) - xp.log1p(targets)
        return weighted(row_means(error * error), sample_weight)
'''
BLOCK, TEST = "arraynn/layers/_softsign.py", "tests/layers/test_softsign.py"

#: the tests that ask for every block
EVERY = (
    "tests/test_project.py::test_all_is_complete",
    "tests/test_project.py::test_every_block_has_its_test_file",
    "tests/test_project.py::test_every_block_is_public",
    "tests/test_project.py::test_every_block_documents_its_shapes_and_what_it_returns",
    "tests/test_project.py::test_every_row_of_the_table_has_a_formula_and_a_source",
    "tests/test_project.py::test_everything_public_has_a_docstring",
    "tests/test_project.py::test_lists_of_public_names_are_sorted",
    "tests/test_project.py::test_the_table_of_blocks_names_every_public_one",
    "tests/test_against_autodiff.py::test_every_public_block_is_tested",
    "tests/explain/test_explain.py::test_every_block_has_a_formula",
    "tests/explain/test_explain.py::test_every_block_has_the_formula_of_its_backward",
    "tests/io/test_registry.py::test_every_public_dataclass_has_a_versioned_name",
    "tests/compiler/test_sound_splitting.py::test_every_block_of_the_library_says_so",
    "tests/backends/test_cupy_conformance.py::test_every_layer_loss_and_optimizer_is_recorded",
)
CONFORMANCE = "tests/backends/test_cupy_conformance.py::test_a_training_step_waits_for_nothing_and_stays_in_float32"


class Added(NamedTuple):
    """A block as a person adds it: the words after ci/new-block, its file, the file's text, its test's values worked by
    hand; the tests that must find it, and what commands print of it."""

    words: tuple[str, ...]
    file: str
    source: str
    values: tuple[str, ...]
    tests: tuple[str, ...]
    printed: dict[tuple[str, ...], str]


BLOCKS = {
    "activation": Added(
        ("Softsign",),
        BLOCK,
        SOFTSIGN,
        ("[-0.5, 0.0, 0.5]", "[0.25, 1.0, 0.25]"),
        ("tests/test_cli_options.py::test_every_activation_trains[softsign]", f"{CONFORMANCE}[Softsign]"),
        {
            (
                "ci/blocks",
            ): "| `softsign`, `Softsign` | Softsign, y = x / (1 + \\|x\\|), elementwise. | Turian, Bergstra",
            ("-c", "import arraynn as nn; nn.Dense(3, activation='softsign')"): "nn.Dense(64), nn.Softsign()",
        },
    ),
    "loss": Added(
        ("--loss", "Cauchy"),
        "arraynn/losses/_cauchy.py",
        CAUCHY,
        ("0.34657359", "[0.0, 0.5]"),
        (
            "tests/test_against_autodiff.py",
            "tests/test_cli_options.py::test_every_loss_trains_on_data_of_its_kind[cauchy]",
            f"{CONFORMANCE}[Cauchy]",
        ),
        {
            (
                "ci/blocks",
            ): "| `cauchy`, `Cauchy` | Cauchy loss, loss = Σ_i w_i mean_j(log(1 + (ŷ_ij - y_ij)²)) / total. | Black"
        },
    ),
    "optimizer": Added(
        ("--optimizer", "Signum"),
        "arraynn/optimizers/_signum.py",
        SIGNUM,
        ("0.9", "0.8", "0.7"),
        (
            "tests/test_cli_options.py::test_every_optimizer_trains[signum]",
            "tests/compiler/test_rules.py",
            "tests/backends/test_cuda_kernels.py",
        ),
        {("ci/blocks",): "| `Signum` | Signum: m = β m + (1 - β) g, then w = w - lr sign(m). | Bernstein"},
    ),
    "metric": Added(
        ("--metric", "MSLE"),
        "arraynn/metrics/_msle.py",
        MSLE,
        ("0.08220097", "0.1233014"),
        ("tests/metrics/test_every_metric.py",),
        {
            ("-c", "import arraynn as nn; print(nn.Model(nn.Dense(1), 'mse', metrics=['msle']).metrics)"): "(MSLE(),)",
            ("-c", "import arraynn as nn; print(nn.EarlyStopping('val_msle').direction(None))"): "min",
            ("-c", "import arraynn as nn; nn.Model(nn.Dense(1), 'mse', metrics=['msl'])"): "did you mean 'msle'",
        },
    ),
}


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


@pytest.mark.parametrize("kind", BLOCKS)
def test_adding_a_block_changes_three_files(kind, copy):
    block = BLOCKS[kind]
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    code, said = run(copy, "ci/new-block", *block.words)
    assert code == 0, said
    assert f"{block.file}: write what TODO stands for" in said
    (copy / block.file).write_text(block.source, encoding="utf-8")
    test = copy / block.file.replace("arraynn/", "tests/").replace("/_", "/test_")
    text = test.read_text(encoding="utf-8")
    for value in block.values:
        text = text.replace("TODO", value, 1)
    assert "TODO" not in text
    test.write_text(text, encoding="utf-8")
    changed = {path for path in copy.rglob("*.py") if before.get(path) != path.read_bytes()}
    assert changed == {copy / block.file, test, (copy / block.file).parent / "__init__.py"}
    code, said = pytest_in(copy, *EVERY, str(test.relative_to(copy)), "tests/test_wrong_usage.py", *block.tests)
    assert code == 0, said
    for command, printed in block.printed.items():
        assert printed in run(copy, *command)[1]


def test_a_forgotten_part_is_reported_with_the_remedy(copy):
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


def test_an_existing_block_is_not_overwritten(copy):
    before = (copy / "arraynn/layers/_relu.py").read_bytes()
    assert run(copy, "ci/new-block", "ReLU") == (1, "arraynn/layers/_relu.py exists\n")
    assert run(copy, "ci/new-block", "softsign")[0] == 2
    assert (copy / "arraynn/layers/_relu.py").read_bytes() == before


@pytest.mark.parametrize(
    ("layer", "block"),
    [("HardTanh", "hard_tanh"), ("CELU", "celu"), ("HardReLU", "hard_relu"), ("Mish", "mish")],
)
def test_a_new_block_gets_its_file_and_class_names(layer, block, copy):
    assert f"tests/layers/test_{block}.py" in run(copy, "ci/new-block", layer)[1]
