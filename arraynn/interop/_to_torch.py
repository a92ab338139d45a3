"""Converts layers for images and sequences, and combinators, to modules of PyTorch.

A module for images is put between two permutations, to channels first and back, so that it takes the layer's x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import layers
from .._types import Nest
from ._from_torch import PROJECTIONS, first, last


def to_modules(
    nn: Any, layer: Any, params: Nest, rank: int | None, inner: Callable[[Any, Nest, int | None], Any]
) -> list[Any] | None:
    """The modules that compute what the layer computes; None for other layers.

    rank : the number of spatial or time axes of the layer's input, where it is known. inner : converts an inner layer.
    """
    from . import _torch_wrappers as wrappers

    permute = wrappers.Permute
    match layer:
        case layers.Permute(axes=axes):
            return [permute(axes)]
        case layers.Reshape(shape=shape):
            return [nn.Flatten(), nn.Unflatten(1, shape)] if shape else None
        case layers.RMSNorm(epsilon=epsilon):
            module = nn.RMSNorm(params["scale"].shape[0], eps=epsilon)
            module.weight = nn.Parameter(params["scale"])
            return [module]
        case layers.Conv1D() | layers.Conv2D():
            return _between_permutes(permute, layer.rank, _to_conv(nn, layer, params))
        case layers.MaxPool1D() | layers.MaxPool2D() | layers.AveragePool1D() | layers.AveragePool2D():
            return _between_permutes(permute, layer.rank, _to_pool(nn, layer))
        case layers.GlobalAveragePool() | layers.GlobalMaxPool():
            rank = _checked_rank(layer, rank)
            kind = "Avg" if isinstance(layer, layers.GlobalAveragePool) else "Max"
            return [permute(first(rank).axes), getattr(nn, f"Adaptive{kind}Pool{rank}d")(1), nn.Flatten()]
        case layers.BatchNorm():
            return _between_permutes(permute, rank or 0, _to_batch_norm(nn, layer, params, rank or 0))
        case layers.GroupNorm(groups=groups, epsilon=epsilon):
            module = _with_scale_and_bias(nn, nn.GroupNorm(groups, params["scale"].shape[0], eps=epsilon), params)
            return _between_permutes(permute, _checked_rank(layer, rank, least=0), module)
        case layers.PositionalEmbedding(kind=kind):
            learned = kind == "learned"
            return [wrappers.PositionalEmbedding((params if learned else params["statistics"])["weight"], learned)]
        case layers.MultiHeadAttention():
            return [wrappers.Attention(_to_attention(nn, layer, params), layer.causal)]
        case layers.RNN() | layers.GRU() | layers.LSTM():
            return [wrappers.Recurrent(_to_recurrent(nn, layer, [params]), layer.return_sequences, layer.reverse)]
        case layers.Bidirectional(layer=one):
            directions = [params["forward"], params["backward"]]
            return [wrappers.Recurrent(_to_recurrent(nn, one, directions), one.return_sequences, one.reverse)]
        case layers.Freeze(layer=one):
            return [wrappers.Frozen(inner(one, params["statistics"], rank))]
        case layers.Residual():
            return [wrappers.Residual(inner(layers.Sequential(*layer.layers), params, rank))]
        case layers.Concatenate() | layers.Parallel():
            by_part = isinstance(layer, layers.Parallel)
            pairs = zip(layer.layers, params, strict=True)
            return [wrappers.Concatenate([inner(*pair, None if by_part else rank) for pair in pairs], by_part)]
    return None


def rank_after(layer: Any, rank: int | None) -> int | None:
    """The number of spatial or time axes of a layer's output: 2 for images, 1 for sequences, None where unknown."""
    match layer:
        case layers.Sequential():
            for one in layer.layers:
                rank = rank_after(one, rank)
            return rank
        case layers.Freeze(layer=one):
            return rank_after(one, rank)
        case layers.Conv1D() | layers.Conv2D() | layers.MaxPool1D() | layers.MaxPool2D() | layers.AveragePool1D():
            return layer.rank
        case layers.AveragePool2D():
            return 2
        case layers.Flatten() | layers.GlobalAveragePool() | layers.GlobalMaxPool():
            return 0
        case layers.Reshape(shape=shape):
            return len(shape) - 1
        case layers.Permute(axes=axes):
            return len(axes) - 1
        case layers.MultiHeadAttention() | layers.PositionalEmbedding():
            return 1
        case layers.RNN() | layers.GRU() | layers.LSTM():
            return 1 if layer.return_sequences else 0
        case layers.Bidirectional(layer=one):
            return rank_after(one, rank)
        case layers.Embedding():
            return None if rank is None else rank + 1
    return rank


def _checked_rank(layer: Any, rank: int | None, least: int = 1) -> int:
    if rank is None:
        raise ValueError(
            f"{layer!r} needs the shape of its input, as PyTorch has a module for each number of axes; give "
            f"input_shape, the shape of a row of x"
        )
    if not least <= rank <= 2:
        raise ValueError(f"PyTorch has no module equal to {layer!r} on {rank + 2} axes")
    return rank


def _with_scale_and_bias(nn: Any, module: Any, params: Nest) -> Any:
    module.weight, module.bias = nn.Parameter(params["scale"]), nn.Parameter(params["bias"])
    return module


def _to_batch_norm(nn: Any, layer: Any, params: Nest, rank: int) -> Any:
    kind = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[_checked_rank(layer, rank, least=0)]
    module = kind(params["scale"].shape[0], eps=layer.epsilon, momentum=1 - layer.momentum)
    module.running_mean, module.running_var = params["statistics"]["mean"], params["statistics"]["variance"]
    return _with_scale_and_bias(nn, module, params)


def _to_attention(nn: Any, layer: Any, params: Nest) -> Any:
    (width, wide), memory = params["query_weight"].shape, params["key_weight"].shape[0]
    if wide != width or params["value_weight"].shape[1] != width:
        raise ValueError(
            f"PyTorch's MultiheadAttention needs heads of width D / h, which {layer!r} does not have; as_torch wraps "
            f"it as a function"
        )
    module = nn.MultiheadAttention(
        width, layer.heads, dropout=layer.dropout, batch_first=True, kdim=memory, vdim=memory
    )
    weights = [params[f"{name}_weight"].T.contiguous() for name in PROJECTIONS]
    if module.in_proj_weight is None:
        for name, weight in zip("qkv", weights, strict=True):
            setattr(module, f"{name}_proj_weight", nn.Parameter(weight))
    else:
        module.in_proj_weight = nn.Parameter(_joined(weights))
    module.in_proj_bias = nn.Parameter(_joined([params[f"{name}_bias"] for name in PROJECTIONS]))
    module.out_proj.weight = nn.Parameter(params["output_weight"].T.contiguous())
    module.out_proj.bias = nn.Parameter(params["output_bias"])
    return module


def _joined(tensors: list[Any]) -> Any:
    import torch

    return torch.cat(tensors)


def _between_permutes(permute: Any, rank: int, module: Any) -> list[Any]:
    if rank == 0:
        return [module]
    return [permute(first(rank).axes), module, permute(last(rank).axes)]


def _symmetric(layer: Any, padding: Any) -> Any:
    """Padding in PyTorch's form, one number for each axis."""
    if padding == "valid":
        return 0
    if padding == "same":
        return padding
    pairs = [(padding, padding)] * layer.rank if isinstance(padding, int) else padding
    if any(before != after for before, after in pairs):
        raise ValueError(f"PyTorch pads both sides alike, {layer!r} does not; as_torch wraps it as a function")
    return tuple(before for before, _ in pairs)


def _to_conv(nn: Any, layer: Any, params: Nest) -> Any:
    *size, channels, filters = params["weight"].shape
    padding = _symmetric(layer, layer.padding)
    module = (nn.Conv1d if layer.rank == 1 else nn.Conv2d)(
        channels * layer.groups,
        filters,
        tuple(size),
        stride=layer.strides,
        padding=padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )
    order = (layer.rank + 1, layer.rank, *range(layer.rank))
    module.weight = nn.Parameter(params["weight"].permute(*order).contiguous())
    module.bias = nn.Parameter(params["bias"])
    return module


def _to_pool(nn: Any, layer: Any) -> Any:
    padding = _symmetric(layer, layer.padding)
    if padding == "same":
        raise ValueError(f"PyTorch's pooling has no padding='same'; as_torch wraps {layer!r} as a function")
    largest = isinstance(layer, layers.MaxPool1D | layers.MaxPool2D)
    kind = getattr(nn, f"{'Max' if largest else 'Avg'}Pool{layer.rank}d")
    rest = {} if largest else {"count_include_pad": False}
    return kind(layer.pool_size, stride=layer.strides, padding=padding, **rest)


def _to_recurrent(nn: Any, layer: Any, directions: list[Any]) -> Any:
    width, units = directions[0]["weight"].shape[0], layer.units
    module = getattr(nn, type(layer).__name__)(width, units, batch_first=True, bidirectional=len(directions) == 2)
    for own, end in zip(directions, ("_l0", "_l0_reverse"), strict=False):
        second = own["bias"] * 0
        if isinstance(layer, layers.GRU):
            second[2 * units :] = own["recurrent_bias"]
        values = own["weight"].T.contiguous(), own["recurrent_weight"].T.contiguous(), own["bias"], second
        for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values, strict=True):
            setattr(module, f"{name}{end}", nn.Parameter(value))
    return module
