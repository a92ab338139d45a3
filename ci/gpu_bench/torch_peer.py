"""PyTorch on a CUDA GPU: eager, compiled, and as one captured CUDA graph. Adam is fused in all three; TF32 is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..bench.peers import pytorch
from ..bench.workloads import Workload


class Peer(pytorch.Peer):
    """variant : "", "compile" or "graph". device "cpu" is for a look at this code without a GPU; it has no clock."""

    def __init__(self, work: Workload, threads: int = 1, variant: str = "", device: str = "cuda") -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError(f"torch {torch.__version__} finds no CUDA GPU that it can use")
        self.device, self.graph = device, None
        super().__init__(work, threads, variant)

    def open(self, threads: int, variant: str) -> None:
        super().open(threads, variant)
        self.captures = variant == "graph"
        self.torch.backends.cuda.matmul.allow_tf32 = False
        self.model.to(self.device)  # in place, so the compiled functions mean these weights
        self.tx, self.ty = self.tx.to(self.device), self.ty.to(self.device)

    def reset(self) -> None:
        if not self.captures:
            super().reset()
            return
        if self.graph is None:
            self.load_weights()
            self.optimizer = self.adam(capturable=True)
            self.capture()
        self.load_weights()  # in place, where the graph reads them, as are the optimizer's slots
        for state in self.optimizer.state.values():
            for slot in state.values():
                slot.zero_()

    def capture(self) -> None:
        """One step as a CUDA graph, after three on a stream of their own, as PyTorch's notes on graphs have it."""
        torch = self.torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.update(self.tx, self.ty)
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss_of(self.tx, self.ty).backward()
            self.optimizer.step()

    def step(self) -> None:
        if self.graph is None:
            super().step()
        else:
            self.graph.replay()

    def wait(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def elapsed(self, run: Callable[[], Any]) -> float:
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))

    def device_memory(self) -> int:
        return int(self.torch.cuda.max_memory_reserved())
