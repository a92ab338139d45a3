"""The built site on a plain server for files. ARRAYNN_SITE names its folder; ci/pages builds it and says so."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.learn.play.conftest import absent, axe, chromium

__all__ = ["axe", "chromium"]


class Files(http.server.SimpleHTTPRequestHandler):
    """Files, and nothing else."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def site() -> Iterator[tuple[Path, str]]:
    """(the folder, its address)."""
    folder = os.environ.get("ARRAYNN_SITE")
    if not folder:
        absent("ARRAYNN_SITE names no built site")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Path(folder), f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()
