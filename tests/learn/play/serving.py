"""The real server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass
class Running:
    """A server that runs."""

    process: subprocess.Popen
    url: str

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    @property
    def token(self) -> str:
        return self.url.split("token=")[1].split("&")[0]


def started(*arguments: str) -> Running:
    command = [sys.executable, "-m", "arraynn", "play", "--no-browser", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    return Running(process, process.stdout.readline().strip())


def ended(server: Running) -> None:
    server.process.terminate()
    server.process.wait(timeout=30)
    assert server.process.stdout is not None
    server.process.stdout.close()
