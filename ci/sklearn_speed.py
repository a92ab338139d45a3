"""How much faster arraynn.sklearn's MLPClassifier fits than scikit-learn's own, and whether it is as accurate.

    python ci/sklearn_speed.py [--repeats 5] [--threads 1] [--threads 2] [--workload digits]

Both get the same data, hyperparameters, epochs, batch size, seeds and threads; fits alternate in one process. Printed
are the medians of wall and processor time, their ratios (scikit-learn's over arraynn's), and the accuracy on rows that
neither saw. float32 and float64 inputs are timed apart. mnist needs ARRAYNN_DATA.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn import neural_network
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import arraynn as nn
import arraynn.sklearn

SIDES = {"scikit-learn": neural_network.MLPClassifier, "arraynn": arraynn.sklearn.MLPClassifier}


def digits() -> tuple[Any, ...]:
    x, y = load_digits(return_X_y=True)
    return (*train_test_split(x / 16, y, random_state=0, stratify=y), 50)


def mnist() -> tuple[Any, ...]:
    x, y, x_test, y_test = nn.datasets.mnist()
    return x, x_test, y, y_test, 3


WORKLOADS = {"digits": digits, "mnist": mnist}


def timed(kind: Any, x: Any, y: Any, epochs: int, seed: int) -> tuple[Any, float, float]:
    """(the fitted estimator, wall seconds, processor seconds)"""
    mlp = kind(random_state=seed, max_iter=epochs, n_iter_no_change=epochs)
    wall, processor = time.perf_counter(), time.process_time()
    mlp.fit(x, y)
    return mlp, time.perf_counter() - wall, time.process_time() - processor


def compare(name: str, dtype: str, threads: int, repeats: int) -> None:
    x, x_test, y, y_test, epochs = WORKLOADS[name]()
    x, x_test = x.astype(dtype), x_test.astype(dtype)
    os.environ["ARRAYNN_NUM_THREADS"] = str(threads)
    found: dict[str, list[tuple[float, float, float]]] = {side: [] for side in SIDES}
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for kind in SIDES.values():
            timed(kind, x[:1000], y[:1000], 1, 0)  # what is loaded or made at a first call is not counted
        for seed in range(repeats):
            for side, kind in SIDES.items():
                mlp, wall, processor = timed(kind, x, y, epochs, seed)
                assert mlp.coefs_[0].dtype == dtype
                assert mlp.n_iter_ == epochs
                found[side].append((wall, processor, float(mlp.score(x_test, y_test))))
    print(
        f"\n{name}, {dtype}, {len(x)} rows, {epochs} epochs of batches of 200, {threads} thread(s), {repeats} fits each"
    )
    medians = {}
    for side, runs in found.items():
        walls, processors, scores = (list(column) for column in zip(*runs, strict=True))
        medians[side] = statistics.median(walls), statistics.median(processors)
        print(
            f"  {side:12s}  wall {medians[side][0]:7.3f} s ({min(walls):.3f} to {max(walls):.3f})   "
            f"processor {medians[side][1]:7.3f} s   accuracy {np.mean(scores):.4f} ± {np.std(scores):.4f}"
        )
    wall, processor = (a / b for a, b in zip(*medians.values(), strict=True))
    print(f"  times as fast: {wall:.2f} in wall time, {processor:.2f} in processor time", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--workload", choices=WORKLOADS, action="append")
    parser.add_argument("--dtype", choices=("float32", "float64"), action="append")
    chosen = parser.parse_args()
    print(f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}, load {os.getloadavg()[0]:.2f}")
    for name in chosen.workload or WORKLOADS:
        if name == "mnist" and "ARRAYNN_DATA" not in os.environ:
            print("\nmnist: not timed, ARRAYNN_DATA names no folder with it")
            continue
        for dtype in chosen.dtype or ("float64", "float32"):
            for threads in chosen.threads or (1,):
                compare(name, dtype, threads, chosen.repeats)


if __name__ == "__main__":
    main()
