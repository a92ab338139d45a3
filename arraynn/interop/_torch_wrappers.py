"""Modules of PyTorch for layers that it has no module of: each takes the x that the layer takes, and gives its y."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Permute(nn.Module):  # type: ignore[misc]
    """Axis i behind the batch's is axis axes[i - 1] of x."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: Any) -> Any:
        return x.permute(0, *self.axes)


class PositionalEmbedding(nn.Module):  # type: ignore[misc]
    """The first rows of a table, added to x (N, T, D); a sinusoidal table is a buffer, which is not trained."""

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
        none = ~allowed.any(dim=-1, keepdim=True)  # whose softmax would be nan: they attend to all, and are replaced
        blocked = ~(allowed | none).repeat_interleave(self.inner.num_heads, dim=0)
        y, _ = self.inner(query, memory, memory, attn_mask=blocked, need_weights=False)
        return torch.where(none, self.inner.out_proj.bias, y)


class Recurrent(nn.Module):  # type: ignore[misc]
    """An RNN, GRU or LSTM (batch_first) that gives its states (N, T, H), or the last of each direction (N, H).

    reverse : from the last step to the first, in the order of time.
    """

    def __init__(self, inner: Any, return_sequences: bool, reverse: bool) -> None:
        super().__init__()
        self.inner, self.return_sequences, self.reverse = inner, return_sequences, reverse

    def forward(self, x: Any) -> Any:
        if isinstance(x, tuple):
            raise ValueError("this module takes no masks and no lengths; as_torch makes a function of the layer")
        states = self.inner(x.flip(1) if self.reverse else x)[0]
        if not self.return_sequences:
            units = self.inner.hidden_size
            return torch.cat([states[:, -1, :units], states[:, 0, units:]], dim=-1)
        return states.flip(1) if self.reverse else states


class Frozen(nn.Module):  # type: ignore[misc]
    """A module that is not trained: no gradients of its parameters, and always in inference."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Any:
        return super().train(False)

    def forward(self, x: Any) -> Any:
        return self.inner(x)


class Residual(nn.Module):  # type: ignore[misc]
    """x + inner(x)."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return x + self.inner(x)


class Concatenate(nn.Module):  # type: ignore[misc]
    """The branches' outputs side by side: of x, or each of its own part of x."""

    def __init__(self, branches: list[Any], by_part: bool) -> None:
        super().__init__()
        self.branches, self.by_part = nn.ModuleList(branches), by_part

    def forward(self, x: Any) -> Any:
        parts = x if self.by_part else [x] * len(self.branches)
        return torch.cat([branch(part) for branch, part in zip(self.branches, parts, strict=True)], dim=-1)
