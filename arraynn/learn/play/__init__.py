"""A live page in the browser that trains a network with the library itself: `arraynn play`.

`Session` is one visitor's network, without a transport. It takes settings, returns numbers and images, and exports
itself as a Python program. `server.Server` serves it to a browser on this machine. `advance` trains by single updates,
within an epoch too, and `load_table` reads columns of a table; exported programs call both.
"""

from .files import File, load_table
from .session import Session
from .stepping import advance

__all__ = ["File", "Session", "advance", "load_table"]
