"""The arena of a generated program: the source that makes its buffers, its constants, and the views of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import host, tuning
from .graph import Node, TraceError
from .memory import Buffer, aligned, free_list, runs


class Arena:
    """The memory that a program works in, and the views of it that its calls take: planned once, made when needed.

    lines : the source that makes it. made : names of the views, in the order in which they are returned.
    """

    def __init__(self, scope: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self.made: list[str] = []
        self.bytes = 0
        self.outer = scope
        self.scope = {"aligned": aligned, "array": np.ndarray, "broadcast_to": np.broadcast_to, "empty": np.empty}
        self.views: dict[str, str] = {}
        self.source = ""

    def array(self, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype, start: int = 0) -> str:
        """The name of an array in the buffer, from the element `start` on."""
        offset = f", {start * dtype.itemsize}" if start else ""
        return self.hoist(f"array({shape}, {self.dtype(dtype)}, {buffer.name}{offset})")

    def dtype(self, dtype: np.dtype) -> str:
        name = f"{dtype.name}_dtype"
        self.scope[name] = self.outer[name] = dtype
        return name

    def hoist(self, expression: str) -> str:
        """The name of what the expression makes, once, before the program runs."""
        if expression not in self.views:
            name = self.views[expression] = f"v{len(self.made)}"
            self.lines.append(f"{name} = {expression}")
            self.made.append(name)
        return self.views[expression]

    def constant(self, node: Node) -> str:
        """An array that is made once for all calls."""
        if node.op == "constant":
            return self.number(node.value, node.dtype)
        if node.op == "full":
            return self._kept(f"full{node.serial}", np.full(node.shape, node.value, node.dtype))
        return self._kept(f"arange{node.serial}", host.arange(*node.attributes["args"], dtype=node.dtype))

    def number(self, value: Any, dtype: np.dtype) -> str:
        """A number as an array without axes."""
        try:
            made = np.full((), value, dtype)
        except OverflowError as error:
            raise TraceError(str(error)) from error
        return self._kept(f"k{made.tobytes().hex()}_{dtype.name}", made)

    def repeated(self, name: str, count: int, dtype: np.dtype) -> str:
        """The constant number of that name, so many times; any other number as it is."""
        if not name.startswith("k"):
            return name
        return self._kept(f"{name}_{count}", np.full(count, self.outer[name].item(), dtype))

    def _kept(self, name: str, array: np.ndarray) -> str:
        if name not in self.outer:
            array.flags.writeable = False
            self.outer[name] = self.scope[name] = array
        return name

    def buffers(self, buffers: list[Buffer]) -> None:
        """The lines that make the buffers, before those that make the views."""
        self.lines = [*(f"{b.name} = aligned({b.size})" for b in buffers), *self.lines]
        self.bytes = sum(b.size for b in buffers)

    def ends(self) -> tuple[list[str], list[str]]:
        """The lines with which a program takes its arena, and gives it back."""
        if not self.made:
            return [], []
        views = ", ".join(self.made)
        body = "".join(f"    {line}\n" for line in [*self.lines, f"return ({views},)"])
        self.source = f"def make():\n{body}"
        exec(compile(self.source, "<arena>", "exec"), self.scope)
        self.outer |= {"make": self.scope["make"], "free": free_list(self.bytes), "runs": runs}
        kept = "" if self.bytes <= tuning.KEPT else "if runs: "
        return ["arena = free.pop() if free else make()", f"{views}, = arena"], [f"{kept}free.append(arena)"]

    def poison(self) -> None:
        """Fill the memory that the next run works in with nan, and with the lowest integer."""
        if not self.made:
            return
        free = self.outer["free"]
        arena = free.pop() if free else self.outer["make"]()
        for x in arena:
            if x.flags.writeable:
                x[...] = np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min if x.dtype.kind == "i" else 1
        free.append(arena)
