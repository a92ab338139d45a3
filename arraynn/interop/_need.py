"""A library that is imported when it is first needed, or an error that says which extra brings it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def need(library: str, extra: str) -> Any:
    """The module of that name. Raises ImportError, naming the extra of arraynn that brings it."""
    try:
        return import_module(library)
    except ImportError as error:
        remedy = f'pip install "arraynn[{extra}]"'
        raise ImportError(f"{library} cannot be imported ({error}); {remedy} brings it", name=library) from None
