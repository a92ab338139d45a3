"""Finds, downloads and checks the four files of MNIST and of data sets in its format."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ._checks import Floats, Labels
from ._idx import read_idx

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

# All these sets use the same file names. The first training labels show which set a folder holds.
_FIRST_LABELS = {
    "mnist": (5, 0, 4, 1, 9, 2, 1, 3, 1, 4),
    "fashion_mnist": (9, 0, 0, 3, 0, 2, 7, 2, 5, 5),
}


@dataclass(frozen=True)
class Source:
    """A data set in four IDX files.

    name : the name of its function and of its folder.
    mirrors : addresses of folders with the compressed files, tried in order.
    md5 : checksums in the order of FILES, of the compressed files or, with `of_unpacked`, of their unpacked content.
    at_root : whether $ARRAYNN_DATA itself may be its folder.
    """

    name: str
    mirrors: tuple[str, ...]
    md5: tuple[str, str, str, str]
    of_unpacked: bool
    at_root: bool


def load(source: Source, folder: str | os.PathLike[str] | None, flatten: bool) -> tuple[Floats, Labels, Floats, Labels]:
    """Find, read and check x_train, y_train, x_test, y_test; x float32 in [0, 255], y int64."""
    train_images, train_labels, test_images, test_labels = _paths(source, folder)
    x_train, y_train = _pair(train_images, train_labels, flatten)
    for name, first in _FIRST_LABELS.items():
        if name != source.name and tuple(y_train[: len(first)]) == first:
            raise DataError(f"{train_labels.parent} holds {name}, not {source.name}: call {name}(), or give a folder")
    return x_train, y_train, *_pair(test_images, test_labels, flatten)


def _paths(source: Source, folder: str | os.PathLike[str] | None) -> list[Path]:
    if folder is not None:  # a given folder is the only one searched
        return _all_files(Path(folder), source)
    if root := os.environ.get("ARRAYNN_DATA"):
        if not os.path.isdir(root):
            raise DataError(f"ARRAYNN_DATA is {root!r}, which is not a folder. Correct it, or unset it")
        for candidate in [Path(root, source.name), *([Path(root)] if source.at_root else [])]:
            if any(find(candidate, stem) for stem in FILES):
                return _all_files(candidate, source)
    cache = user_cache() / source.name
    _complete(cache, source)
    return _all_files(cache, source)


def _complete(cache: Path, source: Source) -> None:
    """Download the files that the cache lacks."""
    from ._download import download  # imported late: http and ssl take 20 ms to import, and few runs need them

    for stem, md5 in zip(FILES, source.md5, strict=True):
        if not find(cache, stem):
            urls = [mirror + stem + ".gz" for mirror in source.mirrors]
            try:
                download(urls, cache / (stem + ".gz"), md5, of_unpacked=source.of_unpacked)
            except DataError as error:
                raise DataError(
                    f"{stem} of {source.name} cannot be downloaded: {error}. Put {', '.join(FILES)}, each unpacked or "
                    f"as .gz, into {cache} by hand, or into $ARRAYNN_DATA/{source.name}, or into a folder given as "
                    f"{source.name}(folder=…)"
                ) from error


def _all_files(folder: Path, source: Source) -> list[Path]:
    found = [find(folder, stem) for stem in FILES]
    if missing := [stem for stem, path in zip(FILES, found, strict=True) if path is None]:
        raise DataError(f"{source.name}: {folder} has no {', '.join(missing)} (unpacked or as .gz). Put them there")
    return [path for path in found if path is not None]


def find(folder: Path, stem: str) -> Path | None:
    """The file of that stem in the folder, unpacked or as .gz; None if there is none."""
    dotted = stem.replace("-idx", ".idx")  # the name in some copies
    names = (stem, stem + ".gz", dotted, dotted + ".gz")
    return next((path for name in names if (path := folder / name).is_file()), None)


def user_cache() -> Path:
    """The user's cache folder, for files that can be downloaded again."""
    cache_root = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    if os.path.isabs(cache_root):  # the XDG specification says to ignore a relative path
        return Path(cache_root, "arraynn")
    try:
        return Path.home() / ".cache" / "arraynn"
    except RuntimeError as error:
        raise DataError(f"no cache folder: {error}. Name a folder, or set ARRAYNN_DATA") from error


def _pair(images: Path, labels: Path, flatten: bool) -> tuple[Floats, Labels]:
    x, y = read_idx(images), read_idx(labels)
    _expect(images, x, x.ndim == 3 and x.shape[1:] == (28, 28), "images, uint8 of shape (N, 28, 28)")
    _expect(labels, y, y.ndim == 1, "labels, uint8 of shape (N,)")
    if len(x) != len(y):
        raise DataError(f"{images} holds {len(x)} images, but {labels} {len(y)} labels: they are not of one set")
    if y.max() > 9:
        raise DataError(f"{labels}: label {y.max()} at row {np.argmax(y)}; labels are 0 to 9")
    return x.reshape((-1, 784) if flatten else x.shape).astype(np.float32), y.astype(np.int64)


def _expect(path: Path, array: npt.NDArray[Any], shaped: bool, what: str) -> None:
    if not shaped or array.dtype != np.uint8:
        raise DataError(
            f"{path} should hold {what}, but holds {array.dtype} of shape {array.shape}: is it of another data set?"
        )
