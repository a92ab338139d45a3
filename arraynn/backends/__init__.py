"""The engine: where a network's arrays live and how its steps are run. `backend` resolves, `report` tells."""

from ._base import Backend, Status, for_type, installed, number, of
from ._disjoint import disjoint
from ._elementwise import is_elementwise
from ._resolve import backend, report
from ._windows import Windows
from ._workers import share_machine

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
