"""The source of a step, line by line: names for what it computes, for what is made once, and for NumPy's functions."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as host
import numpy as np

from ._cuts import Operand
from ._memory import Memory, Scratch


class Value:
    """Where a node's numbers are. name : in the source. whole : it is all of `memory`, in order, and nothing else.

    memory : None for what is not the step's to write to, nor used again. early : it is there before the step begins.
    """

    def __init__(self, name: str, memory: Memory | None = None, whole: bool = False, early: bool = False) -> None:
        self.name, self.memory, self.whole, self.early = name, memory, whole, early

    def operand(self, shape: tuple[int, ...]) -> Operand:
        return Operand(self.name, shape, self.whole, self.early)


class Lines:
    """lines : of the source so far. scope : what its names mean. scratch : the memory that it works in."""

    def __init__(self, **scope: Any) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {"copyto": np.copyto, "empty": np.empty, **scope}
        self.scratch = Scratch()

    def _line(self, name: str, text: str) -> Value:
        self.lines.append(f"{name} = {text}")
        return Value(name)

    def _function(self, name: str) -> str:
        """A NumPy function, such as "add" or "add.reduce", by its name in the source."""
        first, _, rest = name.partition(".")
        own = name.replace(".", "_")
        self.scope[own] = getattr(getattr(np, first), rest) if rest else getattr(np, first)
        return own

    def _constant(self, op: str, args: tuple[Any, ...], shape: tuple[int, ...] = (), dtype: Any = None) -> str:
        """An array that is made once. full : (shape, value)."""
        text = f"{op}_{'_'.join(map(repr, args))}_{dtype.name}"
        name = "k" + "".join(c if c.isalnum() else f"_{ord(c)}_" for c in text)
        if name not in self.scope:
            made = host.arange(*args, dtype=dtype) if op == "arange" else None
            made = np.full(args[0] if op == "full" else shape, args[-1], dtype) if made is None else made
            made.flags.writeable = False
            self.scope[name] = self.scratch.scope[name] = made
        return name

    def _object(self, value: Any) -> str:
        """Anything that has no source of its own."""
        if type(value) in (int, bool, str) or value is None:
            return repr(value)
        self.scope[f"o{id(value)}"] = value
        return f"o{id(value)}"

    def _dtype(self, dtype: np.dtype) -> str:
        self.scope[f"{dtype.name}_"] = dtype
        return f"{dtype.name}_"

    def _long(self, x: Operand, rows: int) -> str:
        return self.scratch.view(f"{x.name}.reshape({x.shape[0] // rows}, {rows * x.shape[1]})")

    def _repeated(self, place: int, x: Operand, rows: int, out: Operand, dtype: np.dtype) -> str:
        """x for a call in which so many rows are taken as one."""
        if x.shape == out.shape:
            return self._long(x, rows)
        if x.shape == ():
            made = self.scope.get(x.name)
            return x.name if made is None else self._constant("full", (rows * out.shape[1], made.item()), dtype=dtype)
        memory = self.scratch.take((rows, out.shape[1]), dtype, place)
        name = self.scratch.array(memory, (rows, out.shape[1]), dtype)
        self.lines.append(f"copyto({name}, {x.name})")
        return self.scratch.view(f"{name}.reshape(-1)")

    def _part(self, x: Operand, index: str) -> str:
        return self.scratch.view(x.name + index) if x.early and index else x.name + index
