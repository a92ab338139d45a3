"""The import paths that users have: each module and name stays where it was, whatever moves inside the package."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = [*ROOT.glob("ci/**/*.py"), *ROOT.glob("examples/*.py")]

PATHS = {
    "arraynn.backends": ("backend", "report", "Backend"),
    "arraynn.callbacks": ("BestWeights", "Callback", "CSVLog", "EarlyStopping", "Monitor", "ReduceLROnPlateau"),
    "arraynn.cli": ("main",),
    "arraynn.datasets": ("digits", "mnist", "spiral"),
    "arraynn.errors": ("BackendUnavailable", "CheckpointError", "DataError", "DivergedError", "ShapeError"),
    "arraynn.explain": ("Explanation", "explain"),
    "arraynn.initializers": ("glorot_uniform", "he_normal", "zeros"),
    "arraynn.interop": ("to_onnx",),
    "arraynn.layers": ("Dense", "Sequential", "dense"),
    "arraynn.losses": ("Loss", "SoftmaxCrossEntropy", "softmax_cross_entropy"),
    "arraynn.metrics": ("Metric", "accuracy"),
    "arraynn.model": ("Model",),
    "arraynn.optimizers": ("Adam", "Optimizer"),
    "arraynn.plot": (),
    "arraynn.random": ("Key",),
    "arraynn.regularizers": ("L1", "L2"),
    "arraynn.schedules": ("InverseTimeDecay",),
    "arraynn.sklearn": ("MLPClassifier", "MLPRegressor"),
    "arraynn.testing": ("check_backward",),
    "arraynn.training": ("Batch", "clip", "make_train_step", "put"),
    "arraynn.tree": ("leaves", "map"),
}


@pytest.mark.parametrize("path", PATHS)
def test_public_import_paths_keep_their_names(path):
    if path == "arraynn.sklearn":
        pytest.importorskip("sklearn")
    module = import_module(path)
    assert [name for name in PATHS[path] if not hasattr(module, name)] == []


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.relative_to(ROOT).as_posix())
def test_what_ci_and_examples_import_is_there(program):
    imports = [
        node for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    for node in imports:
        if node.level or node.module is None or node.module.partition(".")[0] != "arraynn":
            continue
        if node.module == "arraynn.sklearn":
            pytest.importorskip("sklearn")
        module = import_module(node.module)
        names = [one.name for one in node.names if not hasattr(module, one.name)]
        assert [name for name in names if find_spec(f"{node.module}.{name}") is None] == []
