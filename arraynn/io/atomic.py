"""Atomic writes: a file is complete or does not exist."""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import suppress
from glob import escape
from pathlib import Path

#: a temporary file not written to for this long is a leftover of a killed process
STALE_SECONDS = 600

#: errors of systems that cannot flush a folder: it is not readable, or the file system has no such operation
NO_FLUSH = errno.EACCES, errno.EINVAL, errno.ENOTSUP


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file atomically: after any interruption, `path` has its old content or all of the new one.

    Writes a temporary file in the same folder, flushes it to the disk, renames it to `path`, and flushes the folder.
    Raises OSError.
    """
    path = Path(os.path.realpath(path))  # of a symbolic link, the target is replaced
    for old in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(OSError):  # it may be gone, or belong to another user: that must not stop the write
            if time.time() - old.lstat().st_mtime > STALE_SECONDS:
                old.unlink()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # where a folder can be opened, flush the renaming too
        try:
            folder = os.open(path.parent, os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            if error.errno not in NO_FLUSH:
                raise
