"""PyTorch's modules of images and sequences, which have channels first and recurrent weights of their own layout.

A layer of images stands between two `Permute`s, so that the network takes the same x as the module; those that meet and
cancel, past layers that work element by element, are left out.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from .. import layers
from .._types import Nest
from ._need import need

#: layers that do not ask where the channels stand
ELEMENTWISE = (
    *(layers.ReLU, layers.Tanh, layers.Sigmoid, layers.SiLU, layers.SELU, layers.HardSigmoid, layers.Identity),
    *(layers.Softplus, layers.LeakyReLU, layers.ELU, layers.GELU, layers.Dropout),
)
RECURRENT = {"RNN": layers.RNN, "GRU": layers.GRU, "LSTM": layers.LSTM}
PROJECTIONS = "query", "key", "value"


def last(rank: int) -> layers.Permute:
    """Channels first to channels last."""
    return layers.Permute((*range(2, rank + 2), 1))


def first(rank: int) -> layers.Permute:
    """Channels last to channels first."""
    return layers.Permute((rank + 1, *range(1, rank + 1)))


def simplified(pairs: list[tuple[Any, Nest]]) -> list[tuple[Any, Nest]]:
    """(layer, params) pairs without Permutes that cancel each other."""
    kept: list[tuple[Any, Nest]] = []
    for layer, own in pairs:
        place = next((i for i in reversed(range(len(kept))) if not isinstance(kept[i][0], ELEMENTWISE)), None)
        before = None if place is None else kept[place][0]
        if isinstance(layer, layers.Permute) and isinstance(before, layers.Permute):
            axes = tuple(before.axes[i - 1] for i in layer.axes) if len(layer.axes) == len(before.axes) else ()
            if axes and axes == tuple(range(1, len(axes) + 1)):
                assert place is not None
                del kept[place]
                continue
        kept.append((layer, own))
    return kept


def from_module(nn: Any, module: Any, rank: int | None) -> tuple[list[tuple[Any, Nest]], int | None] | None:
    """(layer, params) pairs that do what the module does, and the spatial axes of what they give; None for others.

    rank : the spatial axes of what the module before it gives, where that is known.
    """
    kind = type(module)
    if kind in (nn.Conv1d, nn.Conv2d):
        own = _from_conv(module)
    elif kind in (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d):
        own = _from_pool(nn, module)
    elif kind is nn.BatchNorm2d and module.affine and module.track_running_stats and module.momentum is not None:
        statistics = {"mean": _copy(module.running_mean), "variance": _copy(module.running_var)}
        norm = layers.BatchNorm(momentum=1 - module.momentum, epsilon=module.eps)
        own = norm, {"scale": _copy(module.weight), "bias": _copy(module.bias), "statistics": statistics}, 2
    elif kind is nn.GroupNorm and module.affine and rank is not None:
        norm_ = layers.GroupNorm(module.num_groups, module.eps)
        own = norm_, {"scale": _copy(module.weight), "bias": _copy(module.bias)}, rank
    elif (
        kind is nn.RMSNorm
        and len(module.normalized_shape) == 1
        and module.eps is not None
        and module.weight is not None
    ):
        return [(layers.RMSNorm(module.eps), {"scale": _copy(module.weight)})], rank
    elif kind in (nn.RNN, nn.GRU, nn.LSTM):
        return _from_recurrent(module), None
    elif kind is nn.MultiheadAttention:
        pair = _from_attention(module)
        return None if pair is None else ([pair], None)
    else:
        return None
    if own is None:
        return None
    layer, params, rank = own
    return [(last(rank), {}), (layer, params), (first(rank), {})], rank


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
        raise ValueError(f"{module} has no equal layer here: {kind.__name__} is taken over with {missing}")
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
    own, units = b.clone(), module.hidden_size
    own[: 2 * units] += second[: 2 * units]  # that of the candidate stands inside of the reset
    return {**params, "bias": own, "recurrent_bias": second[2 * units :].clone()}


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


def to_modules(nn: Any, layer: Any, params: Nest) -> list[Any] | None:
    """The modules that do what the layer does; None for others."""
    permute = permute_module()
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
            return _around(permute, layer.rank, _to_conv(nn, layer, params))
        case layers.MaxPool1D() | layers.MaxPool2D() | layers.AveragePool1D() | layers.AveragePool2D():
            return _around(permute, layer.rank, _to_pool(nn, layer))
        case layers.RNN() | layers.GRU() | layers.LSTM():
            return [_to_recurrent(nn, layer, [params])]
        case layers.Bidirectional(layer=inner):
            return [_to_recurrent(nn, inner, [params["forward"], params["backward"]])]
    return None


@cache
def permute_module() -> Any:
    """A module that puts axes in another order, which PyTorch has none for."""
    torch = need("torch", "torch")

    class Permute(torch.nn.Module):  # type: ignore[misc,name-defined]
        """Axis i behind the batch's is axis axes[i - 1] of x."""

        def __init__(self, axes: tuple[int, ...]) -> None:
            super().__init__()
            self.axes = axes

        def forward(self, x: Any) -> Any:
            return x.permute(0, *self.axes)

    return Permute


def _around(permute: Any, rank: int, module: Any) -> list[Any]:
    return [permute(first(rank).axes), module, permute(last(rank).axes)]


def _symmetric(layer: Any, padding: Any) -> Any:
    """Padding as PyTorch has it, one number an axis."""
    if padding == "valid":
        return 0
    if padding == "same":
        return padding
    pairs = [(padding, padding)] * layer.rank if isinstance(padding, int) else padding
    if any(before != after for before, after in pairs):
        raise ValueError(f"PyTorch pads both sides alike, {layer!r} does not; as_torch makes a function of it")
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
        raise ValueError(f"PyTorch's poolings have no padding='same'; as_torch makes a function of {layer!r}")
    largest = isinstance(layer, layers.MaxPool1D | layers.MaxPool2D)
    kind = getattr(nn, f"{'Max' if largest else 'Avg'}Pool{layer.rank}d")
    rest = {} if largest else {"count_include_pad": False}
    return kind(layer.pool_size, stride=layer.strides, padding=padding, **rest)


def _to_recurrent(nn: Any, layer: Any, owns: list[Any]) -> Any:
    if not layer.return_sequences or layer.reverse:
        raise ValueError(
            f"PyTorch's recurrent modules give all states, from the first step on; {layer!r} does not. "
            f"as_torch makes a function of it"
        )
    width, units = owns[0]["weight"].shape[0], layer.units
    module = getattr(nn, type(layer).__name__)(width, units, batch_first=True, bidirectional=len(owns) == 2)
    for own, end in zip(owns, ("_l0", "_l0_reverse"), strict=False):
        second = own["bias"] * 0
        if isinstance(layer, layers.GRU):
            second[2 * units :] = own["recurrent_bias"]
        values = own["weight"].T.contiguous(), own["recurrent_weight"].T.contiguous(), own["bias"], second
        for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values, strict=True):
            setattr(module, f"{name}{end}", nn.Parameter(value))
    return module


def flattened(pairs: list[tuple[Any, Nest]]) -> tuple[Any, Nest]:
    """The one layer and its params, or a Sequential of several."""
    pairs = simplified(pairs)
    if len(pairs) == 1:
        return pairs[0]
    return layers.Sequential(*(layer for layer, _ in pairs)), [own for _, own in pairs]


def is_permute(module: Any) -> bool:
    """Whether a module is one that `to_torch` made."""
    return type(module) is permute_module()
