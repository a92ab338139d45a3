"""Downloads a file into a folder. The file appears whole and checked, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import logging
import os
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.request import urlopen

from ..errors import DataError

_logger = logging.getLogger(__name__)
_CHUNK = 2**20
_MAX_FILE = 2**26  # 64 MiB: the largest wanted here has 26
_MAX_UNPACKED = 2**28
_TIMEOUT = 30  # seconds without a byte


def download(urls: Sequence[str], target: Path, md5: str, *, of_unpacked: bool) -> None:
    """Put the first of `urls` that answers with the right bytes at `target`.

    urls : addresses of the same gzip file, tried in order.
    target : where it goes; written beside it first, then renamed, so a half-written file never bears its name.
    md5 : the sum expected, of the gzip file or, with `of_unpacked`, of what is in it.
    Raises DataError, naming what was tried.
    """
    tried = []
    for url in urls:
        _logger.info("downloading %s to %s", url, target)
        try:
            _fetch(url, target, md5, of_unpacked)
            return
        except (OSError, EOFError, zlib.error, http.client.HTTPException, DataError) as error:
            tried.append(f"{url} ({error or type(error).__name__})")
    raise DataError("tried " + ", ".join(tried))


def _fetch(url: str, target: Path, md5: str, of_unpacked: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")
    try:
        with os.fdopen(handle, "wb") as file, urlopen(url, timeout=_TIMEOUT) as answer:
            written = 0
            while chunk := answer.read(_CHUNK):
                written += len(chunk)
                if written > _MAX_FILE:
                    raise DataError(f"the answer is longer than {_MAX_FILE} bytes")
                file.write(chunk)
        found = _md5(name, of_unpacked)
        if found != md5:
            raise DataError(f"the answer's MD5 is {found}, {md5} was expected")
        os.replace(name, target)
    except BaseException:  # also of Ctrl-C, no part of a file is left
        os.unlink(name)
        raise


def _md5(name: str, of_unpacked: bool) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # to tell damage; it is the sum that was published
    file: BinaryIO | gzip.GzipFile
    with gzip.open(name, "rb") if of_unpacked else open(name, "rb") as file:
        length = 0
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            if length > _MAX_UNPACKED:
                raise DataError(f"the answer unpacks to more than {_MAX_UNPACKED} bytes")
            digest.update(chunk)
    return digest.hexdigest()
