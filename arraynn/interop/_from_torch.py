"""Converts PyTorch's modules for images and sequences to layers: channels first to last, weights to our layout.

A layer for images is put between two `Permute`s, so that the network takes the same x as the module. Two Permutes that
cancel each other, with only elementwise layers between them, are removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .. import layers
from .._types import Nest

#: layers for which the order of the axes does not matter
ELEMENTWISE = (
    *(layers.ReLU, layers.Tanh, layers.Sigmoid, layers.SiLU, layers.SELU, layers.HardSigmoid, layers.Identity),
    *(layers.Softplus, layers.LeakyReLU, layers.ELU, layers.GELU, layers.Dropout),
)
RECURRENT = {"RNN": layers.RNN, "GRU": layers.GRU, "LSTM": layers.LSTM}
PROJECTIONS = "query", "key", "value"


def last(rank: int) -> layers.Permute:
    """The Permute from channels first to channels last. rank : the number of spatial axes."""
    return layers.Permute((*range(2, rank + 2), 1))


def first(rank: int) -> layers.Permute:
    """The Permute from channels last to channels first. rank : the number of spatial axes."""
    return layers.Permute((rank + 1, *range(1, rank + 1)))


def simplified(pairs: list[tuple[Any, Nest]]) -> list[tuple[Any, Nest]]:
    """(layer, params) pairs without Permutes that cancel each other."""
    kept: list[tuple[Any, Nest]] = []
    for layer, params in pairs:
        index = next((i for i in reversed(range(len(kept))) if not isinstance(kept[i][0], ELEMENTWISE)), None)
        before = None if index is None else kept[index][0]
        if isinstance(layer, layers.Permute) and isinstance(before, layers.Permute):
            axes = tuple(before.axes[i - 1] for i in layer.axes) if len(layer.axes) == len(before.axes) else ()
            if axes and axes == tuple(range(1, len(axes) + 1)):
                assert index is not None
                del kept[index]
                continue
        after_pool = len(kept) > 1 and isinstance(kept[-2][0], layers.GlobalAveragePool | layers.GlobalMaxPool)
        if isinstance(layer, layers.Flatten) and after_pool and isinstance(kept[-1][0], layers.Reshape):
            kept.pop()  # (N, C) reshaped to an image of one pixel, then flattened again
            continue
        kept.append((layer, params))
    return kept


def flattened(pairs: list[tuple[Any, Nest]]) -> tuple[Any, Nest]:
    """One (layer, params) of several pairs: the pair itself if there is one, else a Sequential."""
    pairs = simplified(pairs)
    if len(pairs) == 1:
        return pairs[0]
    return layers.Sequential(*(layer for layer, _ in pairs)), [params for _, params in pairs]


def from_module(nn: Any, module: Any, rank: int | None) -> tuple[list[tuple[Any, Nest]], int | None] | None:
    """(layer, params) pairs that compute what the module computes, and the number of spatial axes of their output.

    None for a module without such layers. rank : the number of spatial axes of the module's input, where it is known.
    """
    kind = type(module)
    if kind in (nn.Conv1d, nn.Conv2d):
        converted = _from_conv(module)
    elif kind in (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d):
        converted = _from_pool(nn, module)
    elif kind in (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d):
        return _from_global_pool(nn, module)
    elif kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm):
        converted = _from_norm(nn, module, rank)
    elif kind is nn.RMSNorm and len(module.normalized_shape) == 1 and module.weight is not None:
        epsilon = module.eps or _machine_epsilon(module.weight.dtype)
        return [(layers.RMSNorm(epsilon), {"scale": _copy(module.weight)})], rank
    elif kind in (nn.RNN, nn.GRU, nn.LSTM):
        return _from_recurrent(module), None
    elif kind is nn.MultiheadAttention:
        pair = _from_attention(module)
        return None if pair is None else ([pair], None)
    else:
        return None
    if converted is None:
        return None
    layer, params, rank = converted
    if rank == 0:
        return [(layer, params)], 0
    return [(last(rank), {}), (layer, params), (first(rank), {})], rank


def _from_norm(nn: Any, module: Any, rank: int | None) -> Any:
    if not module.affine:
        return None
    params = {"scale": _copy(module.weight), "bias": _copy(module.bias)}
    if type(module) is nn.GroupNorm:
        return None if rank is None else (layers.GroupNorm(module.num_groups, module.eps), params, rank)
    if not module.track_running_stats or module.momentum is None:
        return None
    params["statistics"] = {"mean": _copy(module.running_mean), "variance": _copy(module.running_var)}
    norm = layers.BatchNorm(momentum=1 - module.momentum, epsilon=module.eps)
    return norm, params, 2 if type(module) is nn.BatchNorm2d else rank or 0


def _machine_epsilon(dtype: Any) -> float:
    """The epsilon that PyTorch's RMSNorm uses where none is given."""
    import torch

    return float(torch.finfo(dtype).eps)


def _from_global_pool(nn: Any, module: Any) -> tuple[list[tuple[Any, Nest]], int] | None:
    rank = 1 if type(module) in (nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d) else 2
    largest = type(module) in (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
    if module.output_size not in (1, (1,) * rank) or (largest and module.return_indices):
        return None
    pool = layers.GlobalMaxPool() if largest else layers.GlobalAveragePool()
    return [(last(rank), {}), (pool, {}), (layers.Reshape((-1, *[1] * rank)), {})], rank


def from_wrapper(module: Any, inner: Callable[[Any, str], tuple[Any, Nest]], what: str) -> tuple[Any, Nest] | None:
    """(layer, params) of a wrapper module that `to_torch` made; None for others. inner : converts an inner module."""
    from . import _torch_wrappers as wrappers

    def layers_of(one: Any, name: str) -> tuple[list[Any], list[Nest]]:
        layer, params = inner(one, f"{what}.{name}")
        return (list(layer.layers), params) if isinstance(layer, layers.Sequential) else ([layer], [params])

    match module:
        case wrappers.Permute():
            return layers.Permute(tuple(module.axes)), {}
        case wrappers.PositionalEmbedding():
            table = {"weight": _copy(module.weight)}
            length = module.weight.shape[0]
            if module.learned:
                return layers.PositionalEmbedding(length), table
            return layers.PositionalEmbedding(length, "sinusoidal"), {"statistics": table}
        case wrappers.Attention():
            pair = _from_attention(module.inner)
            return None if pair is None else (replace(pair[0], causal=module.causal), pair[1])
        case wrappers.Recurrent():
            (layer, params), *_ = _from_recurrent(module.inner)
            options: dict[str, Any] = {"return_sequences": module.return_sequences, "reverse": module.reverse}
            if isinstance(layer, layers.Bidirectional):
                return layers.Bidirectional(replace(layer.layer, **options)), params
            return replace(layer, **options), params
        case wrappers.Frozen():
            layer, params = inner(module.inner, f"{what}.inner")
            return layers.Freeze(layer), {"statistics": params}
        case wrappers.Residual():
            several, params = layers_of(module.inner, "inner")
            return layers.Residual(*several), params
        case wrappers.Concatenate():
            pairs = [inner(branch, f"{what}.branches[{i}]") for i, branch in enumerate(module.branches)]
            kind = layers.Parallel if module.by_part else layers.Concatenate
            return kind(*(layer for layer, _ in pairs)), [params for _, params in pairs]
    return None


def _copy(tensor: Any) -> Any:
    return tensor.detach().clone()


def _from_conv(module: Any) -> Any:
    rank = len(module.kernel_size)
    if module.bias is None or module.padding_mode != "zeros":
        return None
    padding = module.padding
    padding = padding if isinstance(padding, str) else tuple((n, n) for n in padding)
    kind = layers.Conv1D if rank == 1 else layers.Conv2D
    options = {"strides": tuple(module.stride), "dilation": tuple(module.dilation), "groups": module.groups}
    layer = kind(module.out_channels, tuple(module.kernel_size), padding=padding, **options)
    weight = module.weight.detach().permute(*range(2, rank + 2), 1, 0).contiguous()
    return layer, {"weight": weight, "bias": _copy(module.bias)}, rank


def _from_pool(nn: Any, module: Any) -> Any:
    rank = 1 if type(module) in (nn.MaxPool1d, nn.AvgPool1d) else 2
    size, strides, pads = (
        tuple(value) if isinstance(value, tuple) else (value,) * rank
        for value in (module.kernel_size, module.stride, module.padding)
    )
    largest = type(module) in (nn.MaxPool1d, nn.MaxPool2d)
    if module.ceil_mode or (largest and (module.return_indices or module.dilation not in (1, (1,) * rank))):
        return None
    if not largest and ((any(pads) and module.count_include_pad) or getattr(module, "divisor_override", None)):
        return None
    maxima, means = (layers.MaxPool1D, layers.MaxPool2D), (layers.AveragePool1D, layers.AveragePool2D)
    kind: Any = (maxima if largest else means)[rank - 1]
    return kind(size, strides=strides, padding=tuple((n, n) for n in pads)), {}, rank


def _from_recurrent(module: Any) -> list[tuple[Any, Nest]]:
    kind = RECURRENT[module.mode.partition("_")[0]]
    wrong = {
        "batch_first=True": not module.batch_first, "its biases": not module.bias, "no proj_size": module.proj_size,
        "nonlinearity='tanh'": module.mode == "RNN_RELU",
    }  # fmt: skip
    if any(wrong.values()):
        missing = next(name for name, is_so in wrong.items() if is_so)
        raise ValueError(f"{module} has no equal layer here: {kind.__name__} is converted only with {missing}")
    pairs: list[tuple[Any, Nest]] = []
    for number in range(module.num_layers):
        layer: Any = kind(module.hidden_size, return_sequences=True)
        params: Any = _recurrent_params(module, kind, f"_l{number}")
        if module.bidirectional:
            params = {"forward": params, "backward": _recurrent_params(module, kind, f"_l{number}_reverse")}
            layer = layers.Bidirectional(layer)
        pairs += [(layers.Dropout(float(module.dropout)), {})] if number and module.dropout else []
        pairs.append((layer, params))
    return pairs


def _recurrent_params(module: Any, kind: Any, end: str) -> dict[str, Any]:
    w, u, b, second = (
        getattr(module, f"{name}{end}").detach() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    params = {"weight": w.T.contiguous(), "recurrent_weight": u.T.contiguous()}
    if kind is not layers.GRU:
        return {**params, "bias": b + second}
    bias, units = b.clone(), module.hidden_size
    bias[: 2 * units] += second[: 2 * units]  # the candidate's second bias is multiplied by the reset gate: kept apart
    return {**params, "bias": bias, "recurrent_bias": second[2 * units :].clone()}


def _from_attention(module: Any) -> tuple[Any, Nest] | None:
    width, heads = module.embed_dim, module.num_heads
    if not module.batch_first or module.in_proj_bias is None or module.bias_k is not None or module.add_zero_attn:
        return None
    if module.kdim != module.vdim:
        return None
    whole = module.in_proj_weight
    weights = [getattr(module, f"{name}_proj_weight") for name in "qkv"] if whole is None else whole.split(width)
    params: dict[str, Any] = {}
    for name, weight, bias in zip(PROJECTIONS, weights, module.in_proj_bias.split(width), strict=True):
        params |= {f"{name}_weight": weight.detach().T.contiguous(), f"{name}_bias": _copy(bias)}
    out = module.out_proj
    params |= {"output_weight": out.weight.detach().T.contiguous(), "output_bias": _copy(out.bias)}
    return layers.MultiHeadAttention(heads, dropout=float(module.dropout)), params
