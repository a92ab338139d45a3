"""`load_image_folder`: reads images from a folder with one subfolder per class, as arrays of one size."""

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
from ..io.atomic import write_atomic
from .mnist_files import user_cache

GREY = ("1", "L", "LA", "I", "I;16", "F")  #: Pillow's modes of images without colour


class ImageFolder(NamedTuple):
    """The result of `load_image_folder`. classes : folder names in the order of labels. skipped : unreadable files."""

    x_train: npt.NDArray[Any]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[Any] | None
    y_test: npt.NDArray[Any] | None
    classes: tuple[str, ...]
    skipped: tuple[str, ...]


def load_image_folder(
    path: str | os.PathLike[str], size: int = 28, cache: str | os.PathLike[str] | bool = False
) -> ImageFolder:
    """Read the images in a folder that has one subfolder for each class, by Pillow.

    path : the folder. If it has a subfolder train, the classes' folders are in train and, if it exists, in test.
    size : height and width of the result, at least 1. The largest centred square of an image is scaled to it, so the
        aspect ratio is kept (as by torchvision's Resize and CenterCrop).
    cache : a folder for the arrays. They are read from it, memory-mapped, as long as the files' names, sizes and times
        have not changed. True is the user's cache, which also holds downloads; False caches nothing.
    Returns ImageFolder: x (N, size, size, C), float32 in [0, 1], channels last, C = 1 if all images are grey, else 3;
    y (N,), the index of the class in the sorted names; x_test and y_test are None without a folder test.
    A damaged file, or one that is not an image, is skipped and named in `skipped`; a DataWarning gives their number.
    Hidden files and folders are ignored. Raises ImportError without the extra images, DataError for fewer than two
    classes, for a class of train without an image, and for a class of test that train does not have.
    """
    size = python_number(size)
    if not is_integer(size, 1):
        raise ValueError(f"size must be an integer of at least 1, got {size!r}")
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give one with a subfolder of images for each class")
    split = (root / "train").is_dir()
    classes = tuple(folder.name for folder in _visible(root / "train" if split else root) if folder.is_dir())
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
    image_indices = np.flatnonzero(kept)
    labels = np.asarray([label for _, label in train + test], np.int64)[image_indices]
    first = int((image_indices < len(train)).sum())
    missing = set(range(len(classes))) - set(labels[:first].tolist())
    if missing:
        raise DataError(f"{root}: no image of the class {classes[min(missing)]!r} can be read")
    if skipped:
        more = ", …" if len(skipped) > 5 else ""
        warn_of_data(
            f"{root}: {len(skipped)} of {len(train + test)} files are not images, or damaged, and are skipped: "
            f"{', '.join(skipped[:5])}{more}"
        )
    x_test, y_test = (x[first:], labels[first:]) if len(labels) > first else (None, None)
    return ImageFolder(x[:first], labels[:first], x_test, y_test, classes, tuple(skipped))


def _visible(folder: Path) -> list[Path]:
    return sorted((one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.name)


def _files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """(file, label) of all files in the classes' folders, in the order of their names."""
    unknown = [one.name for one in _visible(folder) if one.is_dir() and one.name not in classes]
    if unknown:
        raise DataError(f"{folder} has a class {unknown[0]!r} that train does not have: {', '.join(classes)}")
    return [
        (file, label)
        for label, name in enumerate(classes)
        for file in sorted((folder / name).rglob("*"))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _cached(root: Path, files: list[tuple[Path, int]], size: int, cache: Path | None) -> tuple[Any, Any, list[str]]:
    """(images, mask of the files that are images, names of the others), from the cache, which is filled if needed."""
    if cache is None:
        return _read(root, files, size)
    fingerprints = [(str(file.relative_to(root)), file.stat().st_size, file.stat().st_mtime_ns) for file, _ in files]
    key = hashlib.sha256(json.dumps([str(root.resolve()), size, fingerprints]).encode()).hexdigest()[:24]
    arrays, notes = cache / f"images-{key}.npy", cache / f"images-{key}.json"
    if not (arrays.exists() and notes.exists()):
        x, kept, skipped = _read(root, files, size)
        if not kept.any():
            return x, kept, skipped
        cache.mkdir(parents=True, exist_ok=True)
        write_atomic(arrays, _npy(x))
        write_atomic(notes, json.dumps({"kept": kept.tolist(), "skipped": skipped}).encode())
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
    for i, image in enumerate(good):
        x[i] = image / np.float32(255)  # broadcasts a grey image to three channels if others have colour
    return x, kept, skipped


def _images(files: list[tuple[Path, int]], size: int) -> Iterator[Any]:
    """Each file as uint8 (size, size, 1 or 3); None if it is not an image."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            f'images are read by Pillow, which cannot be imported ({error}); pip install "arraynn[images]"', name="PIL"
        ) from None
    for file, _ in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Pillow only warns of an image with too many pixels
                with Image.open(file) as image:
                    upright = ImageOps.exif_transpose(image)
                    plain = upright.convert("L" if upright.mode in GREY else "RGB")
                    fitted = np.asarray(ImageOps.fit(plain, (size, size)))
            yield fitted[:, :, None] if fitted.ndim == 2 else fitted
        except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError):
            yield None
