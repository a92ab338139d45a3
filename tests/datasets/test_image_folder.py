"""Images in folders, written from the digits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli import main
from arraynn.datasets import load_image_folder

Image = pytest.importorskip("PIL.Image")
NAMES = ("eight", "one", "zero")  # in the order of their labels
DIGITS = {"zero": 0, "one": 1, "eight": 8}


def write(folder: Path, each: int = 4, start: int = 0, **options: object) -> None:
    """So many of three digits as PNGs, a folder for each."""
    images, labels = nn.datasets.digits()[:2]
    for name, digit in DIGITS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, place in enumerate(np.flatnonzero(labels == digit)[start : start + each]):
            pixels = np.round(images[place].reshape(8, 8) / images.max() * 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png", **options)


def test_folders_are_classes_in_the_order_of_their_names(tmp_path):
    write(tmp_path)
    found = load_image_folder(tmp_path, size=8)
    assert (found.classes, found.skipped) == (NAMES, ())
    assert found.x_train.shape == (12, 8, 8, 1)
    assert found.x_train.dtype == np.float32
    assert found.y_train.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert (found.x_test, found.y_test) == (None, None)
    images, labels = nn.datasets.digits()[:2]
    first = images[labels == 8][0].reshape(8, 8) / images.max()
    np.testing.assert_allclose(found.x_train[0, :, :, 0], first, atol=0.5 / 255 + 1e-6)


def test_train_and_test_folders_are_the_two_sets(tmp_path):
    write(tmp_path / "train", 5)
    write(tmp_path / "test", 2, start=5)
    found = load_image_folder(tmp_path, size=8)
    assert (len(found.x_train), len(found.x_test)) == (15, 6)
    assert found.y_test.tolist() == [0, 0, 1, 1, 2, 2]


def test_images_are_cropped_to_the_middle_square_and_resized(tmp_path):
    write(tmp_path)
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255  # the square in the middle, all white
    Image.fromarray(wide).save(tmp_path / "one" / "wide.png")
    found = load_image_folder(tmp_path, size=12)
    assert found.x_train.shape == (13, 12, 12, 1)
    assert found.x_train[8].min() > 0.9  # "wide" is the last of its folder; bent, it would have black columns


def test_one_colour_image_gives_all_images_three_channels(tmp_path):
    write(tmp_path)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    Image.fromarray(red).save(tmp_path / "one" / "red.jpg", quality=100)
    x = load_image_folder(tmp_path, size=8).x_train
    assert x.shape == (13, 8, 8, 3)
    np.testing.assert_array_equal(x[0, :, :, 0], x[0, :, :, 2])
    np.testing.assert_allclose(x[8].mean(axis=(0, 1)), [1, 0, 0], atol=0.02)


def test_broken_files_are_counted_named_and_skipped(tmp_path):
    write(tmp_path)
    whole = (tmp_path / "one" / "000.png").read_bytes()
    (tmp_path / "one" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "zero" / "notes.txt").write_text("no image")
    (tmp_path / "zero" / ".hidden").write_text("passed by")
    with pytest.warns(
        nn.DataWarning, match=r"2 of 14 files are not images, or damaged, and are skipped: one.cut.png, zero"
    ):
        found = load_image_folder(tmp_path, size=8)
    assert len(found.x_train) == 12
    assert found.skipped == (os.path.join("one", "cut.png"), os.path.join("zero", "notes.txt"))


def test_the_cache_is_memory_mapped_and_follows_the_files(tmp_path):
    write(tmp_path / "photos")
    (tmp_path / "photos" / "one" / "notes.txt").write_text("no image")
    cache = tmp_path / "cache"
    for _ in range(2):
        with pytest.warns(nn.DataWarning, match="1 of 13 files"):
            found = load_image_folder(tmp_path / "photos", 8, cache)
        assert isinstance(found.x_train, np.memmap)
        assert len(list(cache.glob("*.npy"))) == 1
    (tmp_path / "photos" / "one" / "notes.txt").unlink()
    (tmp_path / "photos" / "one" / "000.png").unlink()
    assert len(load_image_folder(tmp_path / "photos", 8, cache).x_train) == 11
    assert load_image_folder(tmp_path / "photos", 9, cache).x_train.shape == (11, 9, 9, 1)


def only_one(folder: Path) -> None:
    (folder / "cats").mkdir(parents=True)


def empty_class(folder: Path) -> None:
    write(folder)
    (folder / "dogs").mkdir()


def strange_test(folder: Path) -> None:
    write(folder / "train")
    write(folder / "test")
    (folder / "test" / "dogs").mkdir()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda folder: None, "is not a folder; give one with a subfolder of images for each class"),
        (lambda folder: folder.mkdir(), "has no subfolders; images need a subfolder for each of at least two"),
        (only_one, "has one subfolder; images need"),
        (empty_class, "no image of the class 'dogs' can be read"),
        (strange_test, "has a class 'dogs' that train does not have: eight, one, zero"),
    ],
)
def test_folders_that_are_not_classes_are_reported(made, said, tmp_path):
    made(tmp_path / "photos")
    with pytest.raises(nn.DataError, match=said):
        load_image_folder(tmp_path / "photos")


@pytest.mark.parametrize("size", [0, 2.5, True, "28"])
def test_a_size_is_a_positive_integer(size, tmp_path):
    with pytest.raises(ValueError, match="size must be an integer of at least 1"):
        load_image_folder(tmp_path, size)


def test_train_learns_a_folder_of_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    write(tmp_path / "photos" / "train", 40)
    write(tmp_path / "photos" / "test", 20, start=40)
    options = ["--size", "8", "--network", "lenet", "--epochs", "5", "--backend", "numpy", "--quiet", "--out", "run"]
    assert main(["train", "photos", *options]) == 0
    model = nn.Model.load("run/model.safetensors", backend="numpy")
    test = load_image_folder(tmp_path / "photos", 8)
    assert model.evaluate(test.x_test, test.y_test)["accuracy"] > 0.9
    expected = model.evaluate(test.x_test, test.y_test)["accuracy"]
    capsys.readouterr()
    for size in ([], ["--size", "8"]):  # the model knows what it was trained on
        assert main(["evaluate", "run", "photos", "--backend", "numpy", *size]) == 0
        assert f"{expected:.4g}" in capsys.readouterr().out
        asked = ["explain", "run", "--data", "photos", "--samples", "1", "--json", "--backend", "numpy"]
        assert main([*asked, *size]) == 0
        assert json.loads(capsys.readouterr().out)[0]["x"]["shape"] == [1, 8, 8, 1]
    assert main(["evaluate", "run", "photos", "--size", "12", "--backend", "numpy"]) == 1
    assert "(N, 8, 8, 1)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train spiral", "not with spiral"),
        ("evaluate run spiral", "not with spiral"),
        ("evaluate run points.npz", "not with points.npz"),
        ("explain --data spiral", "not with spiral"),
        ("explain", "name one by --data"),
    ],
)
def test_a_size_is_refused_for_other_data(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("points.npz", x=np.zeros((2, 2), "float32"), y=np.zeros(2, int))
    assert main([*words.split(), "--size", "8"]) == 2
    err = capsys.readouterr().err
    assert "--size goes with a folder of images" in err
    assert said in err
