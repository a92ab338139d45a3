"""Whether the layer that makes the outputs makes what the loss takes: logits or probabilities."""

from __future__ import annotations

from typing import Any

from .. import layers, losses
from ..errors import warn_of_data

SQUASHING = (layers.Softmax, layers.Sigmoid, layers.HardSigmoid)
ON_PROBABILITIES = {
    losses.SoftmaxCrossEntropy: "nn.cross_entropy",
    losses.SigmoidCrossEntropy: "nn.binary_cross_entropy",
}
ON_LOGITS = {
    losses.CrossEntropy: ("nn.Softmax()", "nn.softmax_cross_entropy"),
    losses.BinaryCrossEntropy: ("nn.Sigmoid()", "nn.sigmoid_cross_entropy"),
}


def warn_of_the_link(network: Any, loss: losses.Loss) -> None:
    """Warn where a network ends in a softmax or a sigmoid and its loss takes logits or scores, or where it ends in a
    dense layer and its loss takes probabilities.

    Softmax of a softmax still learns, slowly, and its probabilities stay near 1/K; logits that are taken for
    probabilities are clipped, without a gradient. No number shows either.
    """
    end, name = last_layer(network), type(loss).__name__
    how = ""
    if isinstance(end, SQUASHING) and loss.outputs in ("logits", "scores"):
        instead = ON_PROBABILITIES.get(type(loss))
        how = f"to which it applies its own link: leave {type(end).__name__} out"
        how += f", or take {instead}, which takes probabilities" if instead else ""
    elif isinstance(end, layers.Dense) and type(loss) in ON_LOGITS:
        layer, instead = ON_LOGITS[type(loss)]
        how = f"and clips other numbers: add {layer}, or take {instead}, which takes logits"
    if how:
        warn_of_data(f"the network ends in {type(end).__name__}, and {name} takes {loss.outputs}, {how}")


def last_layer(network: Any) -> Any:
    """The layer that makes the outputs, but for those that leave numbers as they are."""
    if isinstance(network, layers.Sequential):
        for layer in reversed(network.layers):
            if not isinstance(layer, (layers.Identity, layers.Flatten, layers.Reshape, layers.Permute)):
                return last_layer(layer)
    return network
