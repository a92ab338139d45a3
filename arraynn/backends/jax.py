"""JAX: arrays that are never written to, and a whole training step compiled once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .. import tree
from ..errors import BackendUnavailable
from .base import Backend
from .recurrence import with_constants
from .windows import Windows


class JAX(Backend):
    """JAX: steps are jitted, with their donated buffers; random bits by its own integer arithmetic."""

    name = "jax"
    inference_rows = 1024  # XLA takes the longer to compile a convolution the more rows it has: minutes for 10,000
    patch_numbers = 2**26  # each block of a loop is compiled anew, so few large ones
    opaque_calls = False

    @classmethod
    def open(cls, device: str | None = None) -> Backend:
        try:
            import jax
            import jax.numpy as xp
        except ImportError as error:
            raise BackendUnavailable(cls.name, str(error), 'pip install "arraynn[jax]"') from None
        platform, _, index = (device or "").partition(":")
        try:
            where = jax.devices(platform or None)[int(index or 0)]
        except (RuntimeError, ValueError, IndexError) as error:
            remedy = "arraynn.backends.report() lists the devices that work"
            raise BackendUnavailable(cls.name, f"device {device!r}: {error}", remedy) from None
        return cls(xp, where, version=jax.__version__, reason="asked for by name")

    def devices(self) -> tuple[str, ...]:
        import jax

        return tuple(f"{d.platform}:{d.id}" for d in jax.devices())

    def device_name(self) -> str:
        import jax

        return f"{self.device.platform}:{jax.devices(self.device.platform).index(self.device)}"

    def dtype(self, dtype: Any) -> Any:
        import jax

        if isinstance(dtype, str) and dtype in ("float64", "int64", "uint64") and not jax.config.jax_enable_x64:
            remedy = 'Call jax.config.update("jax_enable_x64", True) first, or ask for float32'
            raise BackendUnavailable(
                self.name, f"64-bit numbers are switched off in JAX, so {dtype} is not to be had", remedy
            )
        return super().dtype(dtype)

    def _put(self, x: Any, dtype: Any, copy: bool | None) -> Any:
        import jax

        if dtype is None and isinstance(x, np.ndarray) and _narrowed(x):
            dtype = self.dtype(x.dtype.name)  # jnp.asarray would round, or cut bits off, without a word
        # A copy even on the host: a NumPy array that JAX shares may change under it, or be donated.
        array = self.xp.array(x, dtype=dtype, copy=copy or isinstance(x, np.ndarray))
        return jax.device_put(array, self.device)

    def fetch(self, numbers: list[Any]) -> list[float]:
        import jax

        return [float(n) for n in jax.device_get(numbers)]  # a stack would be compiled anew for each length

    def synchronize(self) -> None:
        import jax

        jax.effects_barrier()
        jax.device_put(0.0, self.device).block_until_ready()

    @classmethod
    def view_int16(cls, words: Any) -> Any:
        import jax

        halves = jax.lax.bitcast_convert_type(words, "int16")  # the lower one first
        return halves.reshape(words.shape[0], 2 * words.shape[1])

    @classmethod
    def scan(
        cls, body: Callable[..., Any], carry: Any, xs: Any, reverse: bool = False, constants: Any = None
    ) -> tuple[Any, Any]:
        import jax

        # the body is compiled once, not once a step
        last, ys = jax.lax.scan(with_constants(body, constants), carry, xs, reverse=reverse)
        return last, ys

    @classmethod
    def fold(cls, dp: Any, windows: Windows) -> Any:
        import jax.numpy

        total = jax.numpy.zeros((dp.shape[0], *windows.padded, dp.shape[-1]), dp.dtype)
        for k, offset in enumerate(windows.offsets):
            total = total.at[offset].add(dp[..., k, :])
        return total[windows.inside]

    @classmethod
    def compile(cls, step: Callable[..., Any], donate: tuple[int, ...] = ()) -> Callable[..., Any]:
        import jax

        compiled: Callable[..., Any] = jax.jit(step, donate_argnums=donate)

        def in_order(*arguments: Any) -> Any:
            for argument in arguments:
                if hasattr(argument, "words"):
                    kind: Any = type(argument)
                    _known(kind)
            # JAX gives dicts back with their keys sorted. What is donated comes back, in its place and its old order.
            results = compiled(*arguments)
            for i in donate:
                results = (*results[:i], tree.map(lambda _, new: new, arguments[i], results[i]), *results[i + 1 :])
            return results

        return in_order


@cache
def _known(kind: Any) -> None:
    """Tell JAX of keys of this type: their words are what it may trace."""
    import jax

    jax.tree_util.register_pytree_node(
        kind, lambda key: (key.words, key.row0), lambda row0, words: kind.of(tuple(words), row0)
    )


def _narrowed(x: np.ndarray) -> bool:
    """Whether x has numbers that 32 bits change: any float64, and whole numbers too large for them."""
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8 and x.size:
        narrow = np.iinfo(f"{x.dtype.kind}4")
        return bool(x.min() < narrow.min or x.max() > narrow.max)
    return x.dtype == np.float64


BACKEND = JAX
