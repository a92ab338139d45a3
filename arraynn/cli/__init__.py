"""The command line: `arraynn train | evaluate | predict | play | …`.

`main` reports every error as one line and an exit code: 0 for success, 1 for a failed run (data, backend, divergence,
memory), 2 for a wrong command line, 130 after Ctrl-C, when everything is saved.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from ..errors import ArraynnError
from ._arguments import parser
from ._output import UsageError, discard_output, log_printed, one_line_warnings

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit code.

    Each error and each warning is one line on stderr. ARRAYNN_TRACEBACK=1 adds Python's traceback, for a bug report.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # prints ? for characters that the console's encoding lacks
            stream.reconfigure(errors="replace")
    command = "arraynn"
    try:
        arguments = parser().parse_args(argv)
        command = f"arraynn {arguments.command}"
        with log_printed(not getattr(arguments, "quiet", False)), one_line_warnings(command):
            code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as exit_:  # argparse has printed the help or the error
        return exit_.code if isinstance(exit_.code, int) else 2
    except KeyboardInterrupt:
        return _failed(command, "interrupted", 130)
    except BrokenPipeError:  # `arraynn … | head`: the reader has closed the pipe
        discard_output()
        return 1
    except UsageError as error:
        return _failed(command, f"error: {error}{'' if str(error).endswith('?') else '.'} See {command} --help", 2)
    except ArraynnError as error:
        return _failed(command, f"error: {error}", 1)
    except MemoryError as error:
        return _failed(command, _out_of_memory(command, error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(command, f"error: {where}{error.strerror or error}", 1)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if "OutOfMemory" in text or "out of memory" in text or "RESOURCE_EXHAUSTED" in text:  # torch, CUDA, JAX
            return _failed(command, _out_of_memory(command, error), 1)
        return _failed(command, f"error: {text}. If this is a bug, ARRAYNN_TRACEBACK=1 shows where it is", 1)


def _failed(command: str, message: str, code: int) -> int:
    if os.environ.get("ARRAYNN_TRACEBACK") == "1":
        traceback.print_exc()
    print(f"{command}: {' '.join(message.split())}", file=sys.stderr)
    return code


def _out_of_memory(command: str, error: BaseException) -> str:
    detail = " ".join(str(error).split()).rstrip(".")[:200]
    remedy = ". A smaller --batch-size or --hidden takes less" if command == "arraynn train" else ""
    return f"error: out of memory{f' ({detail})' if detail else ''}{remedy}"
