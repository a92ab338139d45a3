import gzip
import hashlib

import pytest

from arraynn.datasets._download import download
from arraynn.errors import DataError

CONTENT = b"the right bytes" * 100


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def mirror(tmp_path):
    """A folder that file:// addresses reach: what urllib does, without a network."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "right.gz").write_bytes(gzip.compress(CONTENT))
    (folder / "wrong.gz").write_bytes(gzip.compress(b"other"))
    (folder / "page.gz").write_bytes(b"<html>moved</html>")
    (folder / "cut.gz").write_bytes(gzip.compress(CONTENT)[:-9])
    return folder.as_uri() + "/"


def scraps(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_checksum_may_be_of_the_file_or_of_its_unpacked_content(tmp_path, mirror):
    target = tmp_path / "deep" / "cache" / "a.gz"
    download([mirror + "right.gz"], target, md5(CONTENT), of_unpacked=True)
    packed = target.read_bytes()
    assert gzip.decompress(packed) == CONTENT
    download([mirror + "right.gz"], target, md5(packed), of_unpacked=False)
    assert scraps(target.parent) == ["a.gz"]


def test_the_next_mirror_is_tried_when_one_fails(tmp_path, mirror):
    target = tmp_path / "cache" / "a.gz"
    names = ("none.gz", "wrong.gz", "page.gz", "cut.gz", "right.gz")
    download([mirror + name for name in names], target, md5(CONTENT), of_unpacked=True)
    assert gzip.decompress(target.read_bytes()) == CONTENT
    assert scraps(target.parent) == ["a.gz"]


@pytest.mark.parametrize("name", ["none.gz", "wrong.gz", "page.gz", "cut.gz"])
def test_a_failure_names_the_address_and_leaves_nothing(tmp_path, mirror, name):
    target = tmp_path / "cache" / "a.gz"
    with pytest.raises(DataError, match=f"tried .*{name}"):
        download([mirror + name], target, md5(CONTENT), of_unpacked=True)
    assert scraps(target.parent) == []


def test_a_failure_keeps_the_file_that_was_there(tmp_path, mirror):
    target = tmp_path / "a.gz"
    target.write_bytes(b"old")
    with pytest.raises(DataError):
        download([mirror + "wrong.gz"], target, md5(CONTENT), of_unpacked=True)
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize(("limit", "told"), [("_MAX_FILE", "longer"), ("_MAX_UNPACKED", "unpacks")])
def test_an_endless_response_is_cut_off(tmp_path, mirror, monkeypatch, limit, told):
    monkeypatch.setattr(f"arraynn.datasets._download.{limit}", 10)
    with pytest.raises(DataError, match=told):
        download([mirror + "right.gz"], tmp_path / "a.gz", md5(CONTENT), of_unpacked=True)
    assert scraps(tmp_path) == ["mirror"]


def test_a_folder_that_cannot_be_created_is_reported(tmp_path, mirror):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="tried"):
        download([mirror + "right.gz"], tmp_path / "file" / "a.gz", md5(CONTENT), of_unpacked=True)


def test_an_interrupt_passes_and_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(url, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr("arraynn.datasets._download.urlopen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download(["https://example.invalid/a.gz"], tmp_path / "a.gz", "", of_unpacked=True)
    assert scraps(tmp_path) == []
