"""PyTorch: wraps blocks for its autograd, and converts networks to and from its modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from .. import layers, tree
from .._types import LayerLike, Nest
from . import _from_torch, _to_torch
from ._leaves import SplitArguments, forward
from ._need import need


def as_torch(block: Any) -> Callable[..., Any]:
    """Wrap a block, a loss or a layer as a function of tensors for PyTorch's autograd, by the block's own backward.

    block : such as `nn.relu`, `nn.softmax_cross_entropy`, or a layer, which is then called as (params, x, key=None).
    Returns a function with the block's arguments that returns y alone. `y.sum().backward()` calls the block's backward
    once. Tensors with requires_grad get a gradient where the block has one; there are no second derivatives.
    A layer's statistics are inputs only: the new means of `batch_norm` are not returned. The result must not be
    written to (`y += 1` raises), as the backward may need it.

    >>> import torch                                                                            # doctest: +SKIP
    >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)                                       # doctest: +SKIP
    >>> as_torch(nn.relu)(x).sum().backward()                                                   # doctest: +SKIP
    """
    torch = need("torch", "torch")

    def function(*arguments: Any, **options: Any) -> Any:
        split = SplitArguments(arguments, lambda leaf: isinstance(leaf, torch.Tensor))
        template: list[Any] = []
        outputs = _bridge().apply(block, split, options, template, *split.arrays)
        remaining = iter(outputs)
        return tree.map(lambda _: next(remaining), template[0])

    return function


@cache
def _bridge() -> Any:
    torch = need("torch", "torch")

    class Bridge(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(
            ctx: Any, block: Any, split: SplitArguments, options: Any, template: list[Any], *tensors: Any
        ) -> Any:
            y, ctx.explicit = forward(block, split.filled([t.detach() for t in tensors]), options)
            template.append(y)
            ctx.block, ctx.split, ctx.template = block, split, y
            ctx.inputs = tensors  # kept alive for their gradients; their values are not read
            return tuple(leaf.view_as(leaf) for leaf in tree.leaves(y))

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, *cotangents: Any) -> Any:
            remaining = iter(cotangents)
            dy = tree.map(lambda _: next(remaining), ctx.template)
            wanted = ctx.needs_input_grad[4:]
            x = 1 if isinstance(ctx.block, LayerLike) else 0
            before = sum(len(tree.leaves(a)) for a in ctx.split.arguments[:x])
            count = len(tree.leaves(ctx.split.arguments[x]))
            skipped = sum(ctx.split.array_flags[:before])
            need_dx = any(wanted[skipped : skipped + sum(ctx.split.array_flags[before : before + count])])
            grads = ctx.split.gradients(ctx.block, ctx.explicit(dy, need_dx))
            return None, None, None, None, *(g if want else None for g, want in zip(grads, wanted, strict=True))

    return Bridge


# Modules. `from_torch` and `to_torch` read the same table, in opposite directions.


def from_torch(module: Any, input_shape: Any = None) -> tuple[Any, Nest]:
    """Convert an `nn.Sequential` of PyTorch to (network, params): a `Sequential` of equal layers, and copied weights.

    Dense weights are transposed to (n_in, n_out), those of convolutions to (kh, kw, C / groups, filters). A network for
    images takes x (N, C, H, W), as the module does: it begins with Permute((2, 3, 1)), and permutes back before
    Flatten. RNN, GRU and LSTM (batch_first, any number of layers, both directions) become layers that return all
    states. A MultiheadAttention (batch_first) takes x, or a tuple, as `MultiHeadAttention` does. The params are tensors
    on the module's device; `model.params = params` moves them to any backend.
    input_shape : of a row of x. Norms need it to know the number of axes where no layer before determines it. Without
        it, BatchNorm1d is assumed to take rows (N, C).
    Raises ValueError, which names the module, for one without an equal layer here: GELU without approximate="tanh",
    Linear and convolutions without bias, pooling with ceil_mode, average pooling that counts its padding, adaptive
    pooling to more than one output, GroupNorm as first module without input_shape, a Softmax over another axis than the
    last, a class of your own.
    """
    torch = need("torch", "torch")
    rank = None if input_shape is None else len(input_shape) - 1
    with torch.no_grad():
        layer, params = _from_module(torch.nn, module, type(module).__name__, rank)
    return (layer, params) if isinstance(layer, layers.Sequential) else (layers.Sequential(layer), [params])


def to_torch(network: Any, params: Nest, input_shape: Any = None) -> Any:
    """Convert a network and its params (of any library) to an `nn.Sequential` of PyTorch: the inverse of `from_torch`.

    The tensors are copies on the CPU, in the params' dtype. The module is in training mode, as new modules are. It
    takes the same x and gives the same y. Convolutions, pooling and norms for images are put between permutations to
    channels first and back. Where PyTorch has no equal module, a small wrapper module is used (a residual connection,
    attention and recurrence that return one array, positional embeddings, frozen parts).
    input_shape : of a row of x. Global pooling and norms need it to know the number of axes where no layer before
        determines it. Without it, BatchNorm is assumed to take rows (N, C).
    Raises ValueError, which names the layer, for one that PyTorch computes differently: padding that differs from side
    to side, pooling with padding="same", heads that are not D / h wide, a layer of your own.
    """
    torch = need("torch", "torch")
    to = _tensor_of(torch)
    several = bool(input_shape) and isinstance(input_shape[0], tuple)
    rank = None if input_shape is None or several else len(input_shape) - 1
    with torch.no_grad():
        module = _to_module(torch.nn, network, tree.map(to, params), rank)
    return module if isinstance(module, torch.nn.Sequential) else torch.nn.Sequential(module)


def _tensor_of(torch: Any) -> Callable[[Any], Any]:
    from ..backends import of

    return lambda leaf: torch.tensor(of(leaf).to_numpy(leaf))


def _from_module(nn: Any, module: Any, what: str, rank: int | None) -> tuple[Any, Nest]:
    """The (layer, params) of a module. rank : the number of spatial or time axes of its input, where it is known."""
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        parts: list[tuple[Any, Nest]] = []
        for name, inner in module.named_children():
            found = _from_torch.from_module(nn, inner, rank)
            parts += found[0] if found else [_from_module(nn, inner, f"{what}[{name}]", rank)]
            rank = found[1] if found else _to_torch.rank_after(parts[-1][0], rank)
        parts = _from_torch.simplified(parts)
        return layers.Sequential(*(layer for layer, _ in parts)), [own for _, own in parts]
    found = _from_torch.from_module(nn, module, rank)
    if found:
        return _from_torch.flattened(found[0])
    wrapped = _from_torch.from_wrapper(module, lambda inner, place: _from_module(nn, inner, place, rank), what)
    if wrapped:
        return wrapped
    layer = _layer_of(nn, module)
    if layer is None:
        raise ValueError(f"{what} is a {module}, which has no equal layer here; write a layer and register it")
    names = PARAMETERS.get(type(layer), {})
    flat = {name: getattr(module, theirs).detach().clone() for name, theirs in names.items()}
    if isinstance(layer, layers.Dense):
        flat["weight"] = flat["weight"].T.contiguous()
    return layer, flat


def _layer_of(nn: Any, module: Any) -> Any:
    """The layer that computes what the module computes, or None."""
    for theirs, ours in _without_hyperparameters(nn).items():
        if type(module) is theirs:
            return ours()
    kind = type(module)
    if kind is nn.Linear and module.bias is not None:
        return layers.Dense(module.out_features)
    if kind is nn.LeakyReLU and 0 <= module.negative_slope <= 1:
        return layers.LeakyReLU(float(module.negative_slope))
    if kind is nn.ELU:
        return layers.ELU(float(module.alpha))
    if kind is nn.GELU and module.approximate == "tanh":
        return layers.GELU()
    if kind is nn.Softplus and module.beta == 1 and module.threshold >= 20:
        return layers.Softplus()
    if kind is nn.Softmax and module.dim == -1:
        return layers.Softmax()
    if kind is nn.Dropout and module.p < 1:
        return layers.Dropout(float(module.p))
    if kind is nn.Unflatten and module.dim == 1 and isinstance(module.unflattened_size, tuple):
        return layers.Reshape(tuple(map(int, module.unflattened_size)))
    if kind is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
        return layers.Flatten()
    if kind is nn.LayerNorm and len(module.normalized_shape) == 1 and module.bias is not None:
        return layers.LayerNorm(module.eps)
    if kind is nn.Embedding and (module.padding_idx, module.max_norm) == (None, None):
        return layers.Embedding(module.num_embeddings, module.embedding_dim)
    return None


def _to_module(nn: Any, layer: Any, params: Nest, rank: int | None) -> Any:
    """The module of a layer. rank : the number of spatial or time axes of its input, where it is known."""
    kind = type(layer)

    def inner(one: Any, own: Nest, rank: int | None) -> Any:
        return _to_module(nn, one, own, rank)

    if kind is layers.Sequential:
        modules: list[Any] = []
        for one, own in zip(layer.layers, params, strict=True):
            modules += _to_torch.to_modules(nn, one, own, rank, inner) or [inner(one, own, rank)]
            rank = _to_torch.rank_after(one, rank)
        return nn.Sequential(*modules)
    several = _to_torch.to_modules(nn, layer, params, rank, inner)
    if several:
        return several[0] if len(several) == 1 else nn.Sequential(*several)
    module = next((theirs() for theirs, ours in _without_hyperparameters(nn).items() if ours is kind), None)
    if module is None:
        module = _new_module(nn, layer, params)
    for name, theirs in PARAMETERS.get(kind, {}).items():
        value = params[name].T.contiguous() if kind is layers.Dense and name == "weight" else params[name]
        setattr(module, theirs, nn.Parameter(value))
    return module


def _new_module(nn: Any, layer: Any, params: Nest) -> Any:
    match layer:
        case layers.Dense():
            return nn.Linear(*params["weight"].shape)
        case layers.LeakyReLU(slope=slope):
            return nn.LeakyReLU(slope)
        case layers.ELU(alpha=alpha):
            return nn.ELU(alpha)
        case layers.GELU():
            return nn.GELU(approximate="tanh")
        case layers.Softmax():
            return nn.Softmax(dim=-1)
        case layers.Dropout(rate=rate):
            return nn.Dropout(rate)
        case layers.LayerNorm(epsilon=epsilon):
            return nn.LayerNorm(params["scale"].shape[0], eps=epsilon)
        case layers.Embedding():
            return nn.Embedding(*params["weight"].shape)
    raise ValueError(f"PyTorch has no module equal to {layer!r}; as_torch wraps it as a function")


def _without_hyperparameters(nn: Any) -> dict[Any, type]:
    """The modules and layers that have no hyperparameters, module by layer."""
    return {
        nn.ReLU: layers.ReLU,
        nn.Tanh: layers.Tanh,
        nn.Sigmoid: layers.Sigmoid,
        nn.SiLU: layers.SiLU,
        nn.SELU: layers.SELU,
        nn.Hardsigmoid: layers.HardSigmoid,
        nn.Identity: layers.Identity,
        nn.Flatten: layers.Flatten,
        nn.Softplus: layers.Softplus,
    }


#: our names of the parameters, and PyTorch's
PARAMETERS: dict[type, dict[str, str]] = {
    layers.Dense: {"weight": "weight", "bias": "bias"},
    layers.Embedding: {"weight": "weight"},
    layers.LayerNorm: {"scale": "weight", "bias": "bias"},
}
