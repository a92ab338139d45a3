"""Downloads a file into a folder and verifies its checksum. The file is written atomically."""

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
_MAX_FILE = 2**26  # 64 MiB: the largest file of these data sets has 26 MiB
_MAX_UNPACKED = 2**28
_TIMEOUT = 30  # seconds without a byte


def download(urls: Sequence[str], target: Path, md5: str, *, of_unpacked: bool) -> None:
    """Download a file to `target` from the first of `urls` that delivers the expected bytes.

    urls : addresses of the same gzip file, tried in order.
    target : the path; a temporary file beside it is written first, then renamed, so `target` is never incomplete.
    md5 : the expected checksum, of the gzip file or, with `of_unpacked`, of its unpacked content.
    Raises DataError, which names the addresses tried.
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
        with os.fdopen(handle, "wb") as file, urlopen(url, timeout=_TIMEOUT) as response:
            written = 0
            while chunk := response.read(_CHUNK):
                written += len(chunk)
                if written > _MAX_FILE:
                    raise DataError(f"the response is longer than {_MAX_FILE} bytes")
                file.write(chunk)
        found = _md5(name, of_unpacked)
        if found != md5:
            raise DataError(f"the response's MD5 is {found}, {md5} was expected")
        os.replace(name, target)
    except BaseException:  # also after Ctrl-C, no partial file is left
        os.unlink(name)
        raise


def _md5(name: str, of_unpacked: bool) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # detects damage; MD5 is what the publishers give
    file: BinaryIO | gzip.GzipFile
    with gzip.open(name, "rb") if of_unpacked else open(name, "rb") as file:
        length = 0
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            if length > _MAX_UNPACKED:
                raise DataError(f"the response unpacks to more than {_MAX_UNPACKED} bytes")
            digest.update(chunk)
    return digest.hexdigest()
