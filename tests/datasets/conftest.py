"""Little data sets in MNIST's format, and a process that knows of no other."""

import gzip
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from arraynn.datasets.mnist_files import FILES


class Small:
    """Twelve training and three test pictures, and how they get into files."""

    @staticmethod
    def arrays(first_labels: Sequence[int] = (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8)) -> list[np.ndarray]:
        """Training images and labels, test images and labels: the order of FILES."""
        pixels = np.random.RandomState(0).randint(0, 256, size=(15, 28, 28)).astype("u1")
        pixels[0, 0, :2] = pixels[12, 0, :2] = 0, 255
        return [pixels[:12], np.asarray(first_labels, dtype="u1"), pixels[12:], np.asarray([0, 9, 4], dtype="u1")]

    @staticmethod
    def idx(array: np.ndarray) -> bytes:
        return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()

    def put(
        self,
        folder: Path,
        arrays: Sequence[np.ndarray],
        *,
        names: Sequence[str] = FILES,
        suffix: str = "",
        pack: Callable[[bytes], bytes] = bytes,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in zip(names, arrays, strict=True):
            (folder / (name + suffix)).write_bytes(pack(self.idx(array)))
        return folder

    def put_packed(self, folder: Path, arrays: Sequence[np.ndarray]) -> Path:
        return self.put(folder, arrays, suffix=".gz", pack=gzip.compress)


@pytest.fixture
def small() -> Small:
    return Small()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may reach for the network."""

    def refused(url: str, timeout: float) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr("arraynn.datasets._download.urlopen", refused)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: None) -> Path:
    """No data set is on this machine: no variable, no network, and an empty cache, whose folder this is."""
    monkeypatch.delenv("ARRAYNN_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return tmp_path / "cache" / "arraynn"
