"""A training step exported to ONNX, run by onnxruntime, beside arraynn's own on NumPy: losses and times, in one run.

python ci/bench/onnx_step.py          needs: pip install -e ".[onnx]"
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

import arraynn as nn
from arraynn import interop, tree

STEPS = 100
NETWORKS = {
    "spiral 2-64-3, 300 rows": (
        (2,),
        300,
        [nn.Dense(64, weight_regularizer=nn.L2(5e-4)), nn.ReLU(), nn.Dropout(0.1)],
        3,
    ),
    "digits 64-128-10, 32 rows": ((64,), 32, [nn.Dense(128, weight_regularizer=nn.L2(1e-4)), nn.ReLU()], 10),
    "MNIST 784-128-10, 128 rows": ((784,), 128, [nn.Dense(128), nn.ReLU()], 10),
}


def main() -> None:
    print(f"onnxruntime {onnxruntime.__version__}, NumPy {np.__version__}, the best of {STEPS} steps in ms")
    for name, (shape, rows, hidden, classes) in NETWORKS.items():
        rule = nn.Adam(nn.InverseTimeDecay(0.01, decay=5e-5))
        model = nn.Model(nn.Sequential(*hidden, nn.Dense(classes)), optimizer=rule, backend="numpy").build(shape)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((rows, *shape), dtype=np.float32)
        y = rng.integers(0, classes, rows)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "step.onnx"
            interop.training_step_to_onnx(model, path, rows)
            options = onnxruntime.SessionOptions()
            # its threads would go on spinning between the runs, on the cores that arraynn's steps are timed on
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_outputs()]
        state = {"step": np.asarray(0)} | {
            key: np.array(leaf) for key, leaf in tree.items({"params": model.params, "slots": model.state["slots"]})
        }
        step = nn.make_train_step(model.network, model.loss, model.optimizer)
        params, own = tree.copy(model.params), {**model.state, "slots": tree.copy(model.state["slots"])}
        theirs: list[float] = []
        ours: list[float] = []
        apart = 0.0
        for _ in range(STEPS):
            began = time.perf_counter()
            out = dict(zip(names, session.run(None, {**state, "x": x, "targets": y}), strict=True))
            theirs.append(time.perf_counter() - began)
            state = {key: out[f"new_{key}"] for key in state}
            with model.backend.context():  # which a fit enters once, so it is not counted
                began = time.perf_counter()
                params, own, logs = step(params, own, (x, y, None), nn.Key(model.seed))
                ours.append(time.perf_counter() - began)
            apart = max(apart, abs(float(out["loss"]) - float(logs["data_loss"] + logs["penalty"])))
        a, b = 1000 * min(theirs), 1000 * min(ours)
        print(
            f"{name:28} onnxruntime {a:6.2f}   arraynn {b:6.2f}   ratio {a / b:4.1f}   losses apart at most {apart:.1e}"
        )


if __name__ == "__main__":
    main()
