"""The search, the checks and the download that `mnist` and `fashion_mnist` share."""

import dataclasses
import hashlib
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from arraynn.datasets import _mnist, mnist
from arraynn.datasets.mnist_files import FILES, user_cache
from arraynn.errors import DataError

pytestmark = pytest.mark.usefixtures("nowhere")


def same(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_every_layout_of_the_files_gives_the_same_arrays(small, tmp_path):
    expected = mnist(small.put(tmp_path / "plain", small.arrays()))
    assert same(mnist(str(small.put_packed(tmp_path / "packed", small.arrays()))), expected)
    dotted = [name.replace("-idx", ".idx") for name in FILES]
    assert same(mnist(small.put(tmp_path / "dotted", small.arrays(), names=dotted)), expected)
    assert same(mnist(small.put(tmp_path / "misnamed", small.arrays(), suffix=".gz")), expected)


@pytest.mark.parametrize("below", ["mnist", "."])
def test_the_environment_variable_names_the_folder_or_its_parent(small, tmp_path, monkeypatch, below):
    small.put(tmp_path / "data" / below, small.arrays())
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path / "data"))
    assert mnist()[0].shape == (12, 784)


def test_the_folder_argument_precedes_the_variable_and_the_variable_the_cache(small, tmp_path, monkeypatch, nowhere):
    for place, label in ((tmp_path / "named", 1), (tmp_path / "data", 2), (nowhere / "mnist", 3)):
        small.put(place, small.arrays([label] * 12))
    assert mnist()[1][0] == 3
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path / "data"))
    assert mnist()[1][0] == 2
    assert mnist(tmp_path / "named")[1][0] == 1


def test_a_named_folder_without_the_files_is_an_error(small, tmp_path, nowhere):
    small.put(nowhere / "mnist", small.arrays())
    with pytest.raises(DataError, match="has no train-images-idx3-ubyte, train-labels"):
        mnist(tmp_path / "none")
    small.put(tmp_path / "half", small.arrays()[:2], names=FILES[:2])
    with pytest.raises(DataError, match="half has no t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"):
        mnist(tmp_path / "half")


def test_a_variable_that_names_no_folder_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"ARRAYNN_DATA is .*none"):
        mnist()


def test_an_incomplete_set_under_the_variable_is_reported(small, tmp_path, monkeypatch):
    small.put(tmp_path / "data", small.arrays()[:3], names=FILES[:3])
    monkeypatch.setenv("ARRAYNN_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match="data has no t10k-labels-idx1-ubyte"):
        mnist()


def test_without_a_network_the_message_says_where_the_files_go(nowhere):
    with pytest.raises(DataError) as caught:
        mnist()
    for part in ("storage.googleapis.com", "ossci-datasets", "no network in tests", str(nowhere / "mnist"), *FILES):
        assert part in str(caught.value)


def test_files_missing_from_the_cache_are_downloaded_into_it(small, tmp_path, monkeypatch, nowhere):
    remote = small.put_packed(tmp_path / "remote", small.arrays())
    sums = tuple(hashlib.md5(small.idx(array), usedforsecurity=False).hexdigest() for array in small.arrays())
    monkeypatch.setattr("arraynn.datasets._download.urlopen", urllib.request.urlopen)
    monkeypatch.setattr(
        _mnist, "_SOURCE", dataclasses.replace(_mnist._SOURCE, mirrors=(remote.as_uri() + "/",), md5=sums)
    )
    small.put(nowhere / "mnist", small.arrays()[:1], names=FILES[:1])
    found = mnist()
    assert sorted(path.name for path in (nowhere / "mnist").iterdir()) == sorted(
        [FILES[0]] + [name + ".gz" for name in FILES[1:]]
    )
    for path in remote.iterdir():
        path.unlink()
    assert same(mnist(), found)


@pytest.mark.parametrize(
    ("place", "wrong", "told"),
    [
        (0, lambda right: right[1], r"train-images-idx3-ubyte should hold images.* but holds uint8 of shape \(12,\)"),
        (
            1,
            lambda right: right[0],
            r"train-labels-idx1-ubyte should hold labels.* but holds uint8 of shape \(12, 28, 28\)",
        ),
        (0, lambda right: right[0][:, :14], r"should hold images.*\(12, 14, 28\)"),
        (2, lambda right: right[2][:2], "holds 2 images, but .* 3 labels"),
        (3, lambda right: right[3] + 1, "label 10 at row 1; labels are 0 to 9"),
    ],
)
def test_files_that_do_not_fit_each_other_are_reported(small, tmp_path, place, wrong, told):
    contents = small.arrays()
    contents[place] = wrong(contents)
    with pytest.raises(DataError, match=told):
        mnist(small.put(tmp_path, contents))


def test_a_damaged_file_is_reported_by_name(small, tmp_path):
    folder = small.put(tmp_path / "data", small.arrays())
    (folder / FILES[2]).write_bytes(small.idx(small.arrays()[2])[:-1])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.*truncated"):
        mnist(folder)


def test_images_of_another_dtype_are_reported(small, tmp_path):
    folder = small.put(tmp_path, small.arrays())
    content = bytearray(small.idx(small.arrays()[0]))
    content[2] = 9
    (folder / FILES[0]).write_bytes(content)
    with pytest.raises(DataError, match=r"should hold images, uint8.*int8"):
        mnist(folder)


def test_the_cache_folder_follows_the_operating_system(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for platform, variable in (("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert user_cache() == tmp_path / variable / "arraynn"
        for unusable in ("", "relative"):
            monkeypatch.setenv(variable, unusable)
            assert user_cache() == tmp_path / "home" / ".cache" / "arraynn"
