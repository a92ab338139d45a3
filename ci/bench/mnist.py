"""MNIST's IDX files from $ARRAYNN_DATA/mnist, read without any peer's help: pixels in [0, 1], float32."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np


def folder() -> Path | None:
    """Where the files are, or None."""
    found = Path(os.environ.get("ARRAYNN_DATA", ""), "mnist")
    return found if os.environ.get("ARRAYNN_DATA") and found.is_dir() else None


def read() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """((x, y) for training, (x, y) for testing)."""
    where = folder()
    if where is None:
        raise FileNotFoundError("MNIST is not there; ARRAYNN_DATA names the folder that has it")
    train, test = ((_images(where, name), _labels(where, name)) for name in ("train", "t10k"))
    return train, test


def _bytes(where: Path, name: str) -> bytes:
    path = where / name
    return path.read_bytes() if path.exists() else gzip.decompress((where / f"{name}.gz").read_bytes())


def _images(where: Path, name: str) -> np.ndarray:
    pixels = np.frombuffer(_bytes(where, f"{name}-images-idx3-ubyte"), "u1", offset=16)
    return (pixels.reshape(-1, 784) / np.float32(255)).astype("float32")


def _labels(where: Path, name: str) -> np.ndarray:
    return np.frombuffer(_bytes(where, f"{name}-labels-idx1-ubyte"), "u1", offset=8).astype("int64")
