"""The repr of a Model, and its answer to method names of other libraries."""

from __future__ import annotations

import math
from textwrap import indent
from typing import TYPE_CHECKING, Any

from .. import tree
from .._habits import METHODS
from .._hyperparameters import brief
from .._names import guess


class ModelRepr:
    """Mixin: `repr`, and AttributeError that names the method meant."""

    if TYPE_CHECKING:
        network: Any
        loss: Any
        optimizer: Any
        backend: Any
        epoch: int
        _backend: Any
        _params: Any
        _wanted: Any

    def __repr__(self) -> str:
        """The network, loss and optimizer, then backend, parameters and epochs."""
        known = self._backend is not None
        parts = [repr(self.network), f"loss={brief(self.loss)}", f"optimizer={brief(self.optimizer)}"]
        where = f"backend {self.backend.name}" if known else f"backend {self._wanted} (taken when the first data come)"
        count = sum(math.prod(leaf.shape) for leaf in tree.leaves(tree.trained(self._params)) if leaf is not None)
        weights = f"{count:,} parameters" if self._params is not None else "no parameters yet"
        inside = ",\n".join(indent(part, "    ") for part in parts)
        return f"Model(\n{inside},\n)  # {where}, {weights}, {self.epoch:,} epoch{'s' * (self.epoch != 1)}"

    if not TYPE_CHECKING:  # so that a type checker reports a name that does not exist

        def __getattr__(self, name: str) -> Any:
            known = METHODS.get(name)
            more = f"; {known}" if known else guess(name, [one for one in dir(type(self)) if not one.startswith("_")])
            raise AttributeError(f"Model has no {name!r}{more}", name=name, obj=self)
