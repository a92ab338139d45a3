"""Runs the command line: `python -m arraynn` is the same as `arraynn`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
