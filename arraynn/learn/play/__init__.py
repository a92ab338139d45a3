"""A live page that trains with the library itself: `arraynn play`.

`Session` is one visitor's network, without a transport: settings in, numbers and pictures out, and the same as a
Python program. `server.Server` shows it to a browser on this machine. `advance` trains by single updates, within an
epoch too, and `load_table` reads columns of a table; exported programs call them.
"""

from .files import File, load_table
from .session import Session
from .stepping import advance

__all__ = ["File", "Session", "advance", "load_table"]
