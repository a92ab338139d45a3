"""The import paths that users have: each module and name stays where it was, whatever moves inside the package."""

from __future__ import annotations

from importlib import import_module

import pytest

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
