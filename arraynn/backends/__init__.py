"""The engine: where a network's arrays live and how its steps are run. `backend` resolves, `report` tells."""

from .base import Backend, Status, for_type, installed, number, of
from .elementwise import is_elementwise
from .overlap import disjoint
from .resolve import backend, report
from .threads import share_machine
from .windows import Windows

__all__ = [
    "Backend",
    "Status",
    "Windows",
    "backend",
    "disjoint",
    "for_type",
    "installed",
    "is_elementwise",
    "number",
    "of",
    "report",
    "share_machine",
]
