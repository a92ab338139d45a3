"""PyTorch on images, text and series, written as its users write them: channels first, one product for q, k and v,
and its own attention and LSTM."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import pytorch


class Peer(pytorch.Peer):
    def module(self) -> Any:
        import torch

        work = self.work
        if work.name == "lenet":
            self.tx = self.tx.permute(0, 3, 1, 2).contiguous()
            return lenet(torch)
        return transformer(torch) if work.name == "transformer" else lstm(torch)

    def plain_loss(self, x: Any, y: Any) -> Any:
        outputs, functional = self.model(x), self.torch.nn.functional
        if not self.work.classes:
            return functional.mse_loss(outputs, y)
        return functional.cross_entropy(outputs.flatten(0, -2), y.flatten())

    def load_weights(self) -> None:
        torch, arrays = self.torch, TAKEN[self.work.name](self.work.weights())
        with torch.no_grad():
            for p, array in zip(self.model.parameters(), arrays, strict=True):
                p.copy_(torch.from_numpy(np.ascontiguousarray(array)))


# ---------------------------------------------------------------- images


def lenet(torch: Any) -> Any:
    nn = torch.nn
    convolutions = nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


def lenet_weights(params: Any) -> Any:
    for place in (0, 3):
        yield params[place]["weight"].transpose(3, 2, 0, 1)  # (kh, kw, C, filters) to (filters, C, kh, kw)
        yield params[place]["bias"]
    # rows of the first dense layer follow (H, W, C) here, (C, H, W) there
    yield params[7]["weight"].reshape(4, 4, 50, 500).transpose(2, 0, 1, 3).reshape(800, 500).T
    yield from (params[7]["bias"], params[9]["weight"].T, params[9]["bias"])


# ---------------------------------------------------------------- text


def transformer(torch: Any) -> Any:
    nn, functional = torch.nn, torch.nn.functional

    class Attention(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(64), nn.Linear(64, 192), nn.Linear(64, 64)

        def forward(self, x: Any) -> Any:
            n, t, d = x.shape
            q, k, v = (part.view(n, t, 4, d // 4).transpose(1, 2) for part in self.qkv(self.norm(x)).split(d, dim=2))
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return x + self.out(y.transpose(1, 2).reshape(n, t, d))

    class Think(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.up, self.down = nn.LayerNorm(64), nn.Linear(64, 128), nn.Linear(128, 64)

        def forward(self, x: Any) -> Any:
            return x + self.down(functional.relu(self.up(self.norm(x))))

    class Transformer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.characters = nn.Embedding(96, 64)
            self.places = nn.Embedding(48, 64)
            self.blocks = nn.Sequential(Attention(), Think(), Attention(), Think())
            self.norm, self.last = nn.LayerNorm(64), nn.Linear(64, 96)

        def forward(self, x: Any) -> Any:
            return self.last(self.norm(self.blocks(self.characters(x) + self.places.weight)))

    return Transformer()


def transformer_weights(params: Any) -> Any:
    characters, places, *blocks, norm, last = params
    yield from (characters["weight"], places["weight"])
    for first, second in zip(blocks[::2], blocks[1::2], strict=True):
        scale, attention = first
        yield from (scale["scale"], scale["bias"])
        for kind in ("weight", "bias"):
            parts = [attention[f"{name}_{kind}"] for name in ("query", "key", "value")]
            yield np.concatenate(parts, axis=-1).T
        yield from (attention["output_weight"].T, attention["output_bias"])
        scale, up, _, down = second
        yield from (scale["scale"], scale["bias"], up["weight"].T, up["bias"], down["weight"].T, down["bias"])
    yield from (norm["scale"], norm["bias"], last["weight"].T, last["bias"])


# ---------------------------------------------------------------- series


def lstm(torch: Any) -> Any:
    nn = torch.nn

    class Forecast(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.last = nn.LSTM(1, 16, batch_first=True), nn.Linear(16, 1)
            self.lstm.bias_hh_l0.requires_grad = False  # a second bias, which would learn what the first one learns

        def forward(self, x: Any) -> Any:
            return self.last(self.lstm(x)[0][:, -1])

    return Forecast()


def lstm_weights(params: Any) -> Any:
    own, last = params
    yield from (own["weight"].T, own["recurrent_weight"].T, own["bias"], np.zeros_like(own["bias"]))
    yield from (last["weight"].T, last["bias"])


TAKEN = {"lenet": lenet_weights, "transformer": transformer_weights, "lstm": lstm_weights}
