"""JAX on a GPU: the whole step under jax.jit with donated buffers, products in full float32."""

from __future__ import annotations

from ..bench.peers import xla
from ..bench.workloads import Workload


class Peer(xla.Peer):
    """device : a kind of JAX's devices; "cpu" is for a look at this code without a GPU."""

    def __init__(self, work: Workload, threads: int = 1, variant: str = "", device: str = "gpu") -> None:
        import jax

        try:
            found = jax.devices(device)
        except RuntimeError as error:
            raise NotImplementedError(f"jax {jax.__version__} finds no {device}: {error}") from None
        jax.config.update("jax_default_device", found[0])
        jax.config.update("jax_default_matmul_precision", "highest")  # else XLA takes TF32 on a GPU
        super().__init__(work, threads, variant)

    def device_memory(self) -> int:
        return int(self.jax.config.jax_default_device.memory_stats()["peak_bytes_in_use"])
