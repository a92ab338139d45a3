"""`python -m arraynn` is the command `arraynn`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
