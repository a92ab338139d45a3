"""Which libraries have a backend, by name and by the type of their arrays. Nothing is imported until it is asked for.

A third party registers a subclass of `arraynn.backends.Backend` through the entry-point group "arraynn.backends",
under the name of the root module that its arrays come from.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FILES = {
    "numpy": "numpy",
    "cupy": "cupy.backend",
    "torch": "torch",
    "jax": "jax",
    "array_api_strict": "array_api_strict",
    "dpnp": "dpnp",
}
_TRACERS = {"traced": "traced"}  # arrays of ours, that stand for others while a step is traced
ALIASES = {"cpu": "numpy", "gpu": "cupy", "cuda": "cupy", "pytorch": "torch", "strict": "array_api_strict"}
_ROOTS = {"jaxlib": "jax"}  # JAX's arrays are jaxlib's. Its tracers are not, so they take the portable defaults.
_ROOTS |= {name: name for name in FILES if name != "jax"}


@cache
def third_parties() -> dict[str, EntryPoint]:
    """The registered backends by name; a name of ours is not given away."""
    from importlib.metadata import entry_points  # a tenth of what importing arraynn takes, and seldom asked for

    ours = {*FILES, *ALIASES}
    return {e.name: e for e in entry_points(group="arraynn.backends") if e.name not in ours}


def names() -> list[str]:
    """Every backend's name, ours first."""
    return [*FILES, *third_parties()]


@cache
def load(name: str) -> Any:
    """The backend class of that name; KeyError where there is none."""
    file = FILES.get(name) or _TRACERS.get(name)
    if file:
        return import_module(f".{file}", __package__).BACKEND
    return third_parties()[name].load()


@cache
def by_type(array_type: type) -> str:
    """The name of the backend whose arrays have this type, or "". A subclass of ndarray is NumPy's."""
    if hasattr(array_type, "backend_name"):  # ours, standing in for another library's
        return str(array_type.backend_name)
    for base in array_type.__mro__:
        root = base.__module__.partition(".")[0]
        name = _ROOTS.get(root) or (root if root != "builtins" and root in third_parties() else "")
        if name:
            return name
    return ""
