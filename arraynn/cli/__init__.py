"""The command line: `arraynn train | evaluate | predict | play | …`. `main` turns whatever happens into an exit code
and one line.

0 done; 1 the run failed (data, backend, divergence, memory); 2 the command was wrong; 130 after Ctrl-C, all saved.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from ..errors import ArraynnError
from ._arguments import parser
from ._say import UsageError, notes_shown, silence, warnings_in_a_line

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit code.

    What goes wrong, and what is warned of, is one line on stderr. ARRAYNN_TRACEBACK=1 adds Python's traceback, for a
    report of a bug.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console of few characters gets ? for the others
            stream.reconfigure(errors="replace")
    command = "arraynn"
    try:
        arguments = parser().parse_args(argv)
        command = f"arraynn {arguments.command}"
        with notes_shown(not getattr(arguments, "quiet", False)), warnings_in_a_line(command):
            code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as leave:  # argparse has shown help, or said what is wrong
        return leave.code if isinstance(leave.code, int) else 2
    except KeyboardInterrupt:
        return _failed(command, "interrupted", 130)
    except BrokenPipeError:  # `arraynn … | head`: its output is no longer read
        silence()
        return 1
    except UsageError as error:
        return _failed(command, f"error: {error}{'' if str(error).endswith('?') else '.'} See {command} --help", 2)
    except ArraynnError as error:
        return _failed(command, f"error: {error}", 1)
    except MemoryError as error:
        return _failed(command, _no_memory(command, error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(command, f"error: {where}{error.strerror or error}", 1)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if "OutOfMemory" in text or "out of memory" in text or "RESOURCE_EXHAUSTED" in text:  # torch, CUDA, JAX
            return _failed(command, _no_memory(command, error), 1)
        return _failed(command, f"error: {text}. If this is a bug, ARRAYNN_TRACEBACK=1 shows where it is", 1)


def _failed(command: str, message: str, code: int) -> int:
    if os.environ.get("ARRAYNN_TRACEBACK") == "1":
        traceback.print_exc()
    print(f"{command}: {' '.join(message.split())}", file=sys.stderr)
    return code


def _no_memory(command: str, error: BaseException) -> str:
    said = " ".join(str(error).split()).rstrip(".")[:200]
    remedy = ". A smaller --batch-size or --hidden takes less" if command == "arraynn train" else ""
    return f"error: out of memory{f' ({said})' if said else ''}{remedy}"
