"""Imports an optional library on first use. If it is missing, the error names the extra that installs it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def need(library: str, extra: str) -> Any:
    """Import and return the module of that name. Raises ImportError, which names the extra that installs it."""
    try:
        return import_module(library)
    except ImportError as error:
        remedy = f'pip install "arraynn[{extra}]"'
        raise ImportError(f"{library} cannot be imported ({error}); {remedy} installs it", name=library) from None
