"""Modules for layers that PyTorch has no module for: each takes the x that the layer takes and gives the layer's y."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Permute(nn.Module):  # type: ignore[misc]
    """Permutes the axes after the batch axis: axis i of the result is axis axes[i - 1] of x."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: Any) -> Any:
        return x.permute(0, *self.axes)


class PositionalEmbedding(nn.Module):  # type: ignore[misc]
    """Adds the first T rows of a table to x (N, T, D). A sinusoidal table is a buffer, which is not trained."""

    def __init__(self, table: Any, learned: bool) -> None:
        super().__init__()
        self.learned = learned
        if learned:
            self.weight = nn.Parameter(table)
        else:
            self.register_buffer("weight", table)

    def forward(self, x: Any) -> Any:
        return x + self.weight[: x.shape[1]]


class Attention(nn.Module):  # type: ignore[misc]
    """A MultiheadAttention that takes x, or a tuple of query, memory and mask, as `MultiHeadAttention` does."""

    def __init__(self, inner: Any, causal: bool) -> None:
        super().__init__()
        self.inner, self.causal = inner, causal

    def forward(self, x: Any) -> Any:
        query, *others = x if isinstance(x, tuple) else (x,)
        memory = others.pop(0) if others and others[0].dim() == 3 else query
        (rows, steps, _), keys = query.shape, memory.shape[1]
        allowed = torch.ones((rows, steps, keys), dtype=torch.bool, device=query.device)
        if self.causal:
            allowed = allowed.tril()
        if others:
            mask = others[0]
            if mask.dim() == 1:  # lengths
                mask = torch.arange(keys, device=query.device) < mask[:, None]
            allowed = allowed & (mask.bool() if mask.dim() == 3 else mask.bool()[:, None, :])
        no_key = ~allowed.any(dim=-1, keepdim=True)  # their softmax would be nan: they attend to all, then are replaced
        blocked = ~(allowed | no_key).repeat_interleave(self.inner.num_heads, dim=0)
        y, _ = self.inner(query, memory, memory, attn_mask=blocked, need_weights=False)
        return torch.where(no_key, self.inner.out_proj.bias, y)


class Recurrent(nn.Module):  # type: ignore[misc]
    """An RNN, GRU or LSTM (batch_first) that returns its states (N, T, H), or the last of each direction (N, H).

    reverse : process steps from last to first; the states are returned in the order of time.
    """

    def __init__(self, inner: Any, return_sequences: bool, reverse: bool) -> None:
        super().__init__()
        self.inner, self.return_sequences, self.reverse = inner, return_sequences, reverse

    def forward(self, x: Any) -> Any:
        if isinstance(x, tuple):
            raise ValueError("this module takes no masks and no lengths; as_torch wraps the layer as a function")
        states = self.inner(x.flip(1) if self.reverse else x)[0]
        if not self.return_sequences:
            units = self.inner.hidden_size
            return torch.cat([states[:, -1, :units], states[:, 0, units:]], dim=-1)
        return states.flip(1) if self.reverse else states


class Frozen(nn.Module):  # type: ignore[misc]
    """A module that is not trained: its parameters have no gradients, and it is always in inference mode."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Any:
        return super().train(False)

    def forward(self, x: Any) -> Any:
        return self.inner(x)


class Residual(nn.Module):  # type: ignore[misc]
    """Residual connection x + inner(x)."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return x + self.inner(x)


class Concatenate(nn.Module):  # type: ignore[misc]
    """Concatenates the branches' outputs. Each branch takes x, or with by_part its own part of x."""

    def __init__(self, branches: list[Any], by_part: bool) -> None:
        super().__init__()
        self.branches, self.by_part = nn.ModuleList(branches), by_part

    def forward(self, x: Any) -> Any:
        parts = x if self.by_part else [x] * len(self.branches)
        return torch.cat([branch(part) for branch, part in zip(self.branches, parts, strict=True)], dim=-1)
