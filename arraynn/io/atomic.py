"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import suppress
from glob import escape
from pathlib import Path

#: a temporary file that nobody has written to for so long was left by a process that was killed
STALE_SECONDS = 600

#: what a system says that cannot flush this folder: one that may not be read, or a file system that knows no such thing
NO_FLUSH = errno.EACCES, errno.EINVAL, errno.ENOTSUP


def write_whole(path: Path, data: bytes) -> None:
    """Write to a temporary file in the same folder, flush it to the disk, and rename it over `path`, whose folder is
    flushed too. Whatever breaks off, `path` is what it was before, or whole. Raises OSError."""
    path = Path(os.path.realpath(path))  # a link stays one, and what it points to is replaced
    for old in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        with suppress(OSError):  # it may be gone by now, or somebody else's; no reason not to write
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
    if hasattr(os, "O_DIRECTORY"):  # where a folder can be opened, the renaming itself is made to last
        try:
            folder = os.open(path.parent, os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            if error.errno not in NO_FLUSH:
                raise
