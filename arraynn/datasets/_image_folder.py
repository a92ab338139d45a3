"""A user's own images, one folder a class, as arrays of one size."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._hyperparameters import is_integer, python_number
from ..errors import DataError, warn_of_data
from ..io.atomic import write_whole
from .mnist_files import user_cache

GREY = ("1", "L", "LA", "I", "I;16", "F")  #: Pillow's modes of images without colour


class ImageFolder(NamedTuple):
    """What `load_image_folder` found. classes : names of the folders, in the order of their labels; skipped : files."""

    x_train: npt.NDArray[Any]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[Any] | None
    y_test: npt.NDArray[Any] | None
    classes: tuple[str, ...]
    skipped: tuple[str, ...]


def load_image_folder(
    path: str | os.PathLike[str], size: int = 28, cache: str | os.PathLike[str] | bool = False
) -> ImageFolder:
    """The images in a folder that has one subfolder for each class, by Pillow.

    path : the folder; where it has a subfolder train, that and test, if it is there, have the classes' folders.
    size : height and width that all images get, at least 1: the largest square in the middle, scaled (so no image is
        bent; torchvision's Resize and CenterCrop do the same).
    cache : a folder in which the arrays are kept, and from which they are read, memory-mapped, while the files are as
        they were (names, sizes, times); True is the user's cache, where downloads go, False keeps none.
    Returns ImageFolder: x (N, size, size, C), float32 in [0, 1], channels last, C = 1 where all images are grey, else
    3; y (N,), the place of the class in the sorted names; x_test and y_test are None without a folder test.
    A file that is not an image, or is damaged, is skipped and named in `skipped`; a DataWarning counts such files.
    Hidden files and folders are ignored. Raises ImportError without the extra images, DataError where there are not
    two classes, or a class of train has no image, or test has a class that train has not.
    """
    size = python_number(size)
    if not is_integer(size, 1):
        raise ValueError(f"size must be an integer of at least 1, got {size!r}")
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root} is no folder; give one with a subfolder of images for each class")
    split = (root / "train").is_dir()
    classes = tuple(folder.name for folder in _shown(root / "train" if split else root) if folder.is_dir())
    if len(classes) < 2:
        found = "has one subfolder" if classes else "has no subfolders"
        raise DataError(
            f"{root} {found}; images need a subfolder for each of at least two classes, such as cats/, dogs/"
        )
    train = _files(root / "train" if split else root, classes)
    test = _files(root / "test", classes) if split and (root / "test").is_dir() else []
    folder = None if cache is False else user_cache() / "images" if cache is True else Path(cache)
    x, kept, skipped = _cached(root, train + test, size, folder)
    if not any(kept):
        raise DataError(
            f"{root}: none of {len(train + test)} files in the folders of its classes can be read as an image"
        )
    places = np.flatnonzero(kept)
    labels = np.asarray([label for _, label in train + test], np.int64)[places]
    first = int((places < len(train)).sum())
    missing = set(range(len(classes))) - set(labels[:first].tolist())
    if missing:
        raise DataError(f"{root}: no image of the class {classes[min(missing)]!r} can be read")
    if skipped:
        more = ", …" if len(skipped) > 5 else ""
        warn_of_data(
            f"{root}: {len(skipped)} of {len(train + test)} files are no images, or broken, and are skipped: "
            f"{', '.join(skipped[:5])}{more}"
        )
    x_test, y_test = (x[first:], labels[first:]) if len(labels) > first else (None, None)
    return ImageFolder(x[:first], labels[:first], x_test, y_test, classes, tuple(skipped))


def _shown(folder: Path) -> list[Path]:
    return sorted((one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.name)


def _files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """(file, label) of all files below the classes' folders, in the order of their names."""
    strange = [one.name for one in _shown(folder) if one.is_dir() and one.name not in classes]
    if strange:
        raise DataError(f"{folder} has a class {strange[0]!r} that is none of those to train on: {', '.join(classes)}")
    return [
        (file, label)
        for label, name in enumerate(classes)
        for file in sorted((folder / name).rglob("*"))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _cached(root: Path, files: list[tuple[Path, int]], size: int, cache: Path | None) -> tuple[Any, Any, list[str]]:
    """(images, which of the files they are, the names of the others), from the cache or read anew and put there."""
    if cache is None:
        return _read(root, files, size)
    told = [(str(file.relative_to(root)), file.stat().st_size, file.stat().st_mtime_ns) for file, _ in files]
    key = hashlib.sha256(json.dumps([str(root.resolve()), size, told]).encode()).hexdigest()[:24]
    arrays, notes = cache / f"images-{key}.npy", cache / f"images-{key}.json"
    if not (arrays.exists() and notes.exists()):
        x, kept, skipped = _read(root, files, size)
        if not kept.any():
            return x, kept, skipped
        cache.mkdir(parents=True, exist_ok=True)
        write_whole(arrays, _npy(x))
        write_whole(notes, json.dumps({"kept": kept.tolist(), "skipped": skipped}).encode())
    found = json.loads(notes.read_text(encoding="utf-8"))
    return np.load(arrays, mmap_mode="r", allow_pickle=False), np.asarray(found["kept"], bool), found["skipped"]


def _npy(x: Any) -> bytes:
    from io import BytesIO

    held = BytesIO()
    np.lib.format.write_array(held, x, allow_pickle=False)
    return held.getvalue()


def _read(root: Path, files: list[tuple[Path, int]], size: int) -> tuple[Any, Any, list[str]]:
    images = list(_images(files, size))
    kept = np.asarray([image is not None for image in images], bool)
    skipped = [str(file.relative_to(root)) for (file, _), good in zip(files, kept, strict=True) if not good]
    good = [image for image in images if image is not None]
    grey = all(image.shape[2] == 1 for image in good)
    x = np.empty((len(good), size, size, 1 if grey else 3), np.float32)
    for place, image in enumerate(good):
        x[place] = image / np.float32(255)  # a grey image among coloured ones has three equal channels
    return x, kept, skipped


def _images(files: list[tuple[Path, int]], size: int) -> Iterator[Any]:
    """Each file as bytes (size, size, 1 or 3), None where it is no image."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            f'images are read by Pillow, which cannot be imported ({error}); pip install "arraynn[images]"', name="PIL"
        ) from None
    for file, _ in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Pillow warns of an image of too many pixels
                with Image.open(file) as image:
                    upright = ImageOps.exif_transpose(image)
                    plain = upright.convert("L" if upright.mode in GREY else "RGB")
                    fitted = np.asarray(ImageOps.fit(plain, (size, size)))
            yield fitted[:, :, None] if fitted.ndim == 2 else fitted
        except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
            yield None
