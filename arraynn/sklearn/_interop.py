"""Converts estimators to and from arraynn's Model and scikit-learn's own estimators."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.base import is_classifier
from sklearn.preprocessing import LabelBinarizer

from .. import tree
from .._types import LayerLike, Nest
from ..backends import backend, of
from ..initializers import glorot_uniform
from ..layers import Dense, Dropout, Identity, Sequential, Sigmoid, Softmax
from ..losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Hinge,
    Loss,
    Poisson,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from ..model import Model
from ..optimizers import Optimizer
from ..regularizers import L1L2
from ._clipped import exact
from ._conventions import HalfPoissonDeviance, MLPDense, Summed
from ._network import ACTIVATIONS, activation_layer, make_network, per_layer, to_attributes


def make_model(est: Any, optimizer: Optimizer, engine: Any, dtype: str, rows: int) -> Model:
    """A Model of the fitted estimator's network, with initial weights. rows : of a step, to scale the penalty."""
    loss, factor = _arraynn_loss(est._loss, est.n_outputs_)
    penalty = None
    if est.alpha or est.l1:
        # scikit-learn's penalty is added to its loss, so it is scaled as the loss is
        penalty = L1L2(l1=float(est.l1) / factor / rows, l2=float(est.alpha) / 2 / factor / rows)
    layers = [
        Dense(layer.units, weight_initializer=glorot_uniform, weight_regularizer=penalty)
        if isinstance(layer, MLPDense)
        else layer
        for layer in est.network_.layers
    ]
    clip = None if est.clip_norm is None else float(est.clip_norm)
    model = Model(Sequential(*layers), loss, optimizer, backend=engine, dtype=dtype, clip_norm=clip)
    model.build((est.coefs_[0].shape[0],))
    if hasattr(est, "feature_names_in_"):
        model.columns = tuple(map(str, est.feature_names_in_))
    return model


def to_model(est: Any, optimizer: Optimizer) -> Model:
    """See `BaseMLP.to_model`."""
    first = est.coefs_[0]
    rows = 200 if isinstance(est.batch_size, str) else int(est.batch_size)
    dtype = "float32" if "float32" in str(first.dtype) else "float64"
    where = of(first)
    model = make_model(est, optimizer, where if where.name != "numpy" else backend(est.backend), dtype, rows)
    model.set_params(est._params(model.backend, dtype))
    return model


def _arraynn_loss(loss: Loss, outputs: int) -> tuple[Loss, float]:
    """(arraynn's own loss, the factor by which scikit-learn's loss is larger)."""
    loss = exact(loss)
    if isinstance(loss, Summed):
        return loss.loss, loss.scale * outputs
    if isinstance(loss, HalfPoissonDeviance):
        return Poisson(), float(outputs)
    return loss, 1.0


def from_model(kind: type, model: Any, classes: Any = None) -> Any:
    """See `BaseMLP.from_model`."""
    if model.params is None:
        raise ValueError("the model has no weights yet: fit it, or build it for an input shape, first")
    hidden, activations, rates, params, link = _parsed(model.network, model.params)
    est = kind(
        hidden_layer_sizes=tuple(hidden),
        activation=activations if hidden else "relu",
        dropout=rates if any(rates) else 0.0,
        loss=model.loss,
        solver=model.optimizer,
        alpha=0.0,
        dtype=model.dtype,
        clip_norm=model.clip_norm,
    )
    outputs = int(params[-1 if link is None else -2]["weight"].shape[1])
    if is_classifier(est):
        _set_classes(est, np.arange(max(outputs, 2)) if classes is None else np.asarray(classes))
    else:
        est._columns = outputs
    est._loss, est.n_outputs_, est.out_activation_ = est._criterion()
    if est.n_outputs_ != outputs:
        raise ValueError(f"{len(est.classes_)} classes take {est.n_outputs_} outputs, the model has {outputs}")
    host = tree.map(lambda leaf: backend("numpy").asarray(leaf, copy=True), params)
    if is_classifier(est) and classes is not None:
        place = -1 if link is None else -2
        host[place], est.loss = _sorted_outputs(host[place], np.asarray(classes), est.loss)
        est._loss = est._criterion()[0]
    est.network_ = make_network(hidden, outputs, est._loss, activation=est.activation, dropout=est.dropout)
    if len(est.network_.layers) != len(host):
        ends = "its last Dense" if link is None else f"{type(link).__name__}"
        raise ValueError(
            f"the model's network ends in {ends}, but {type(model.loss).__name__} takes {est._loss.outputs}"
        )
    vars(est).update(to_attributes(est.network_, host))
    losses = list(model.history.get("loss", ()))
    est.loss_curve_, est.best_loss_, est._training = losses, min(losses, default=np.inf), {}
    est.validation_scores_ = est.validation_loss_curve_ = est.best_validation_score_ = None
    est.n_iter_, est.t_, est.n_layers_ = int(model.epoch), 0, len(est.coefs_) + 1
    est.n_features_in_ = int(est.coefs_[0].shape[0])
    if model.columns is not None:
        est.feature_names_in_ = np.asarray(model.columns, dtype=object)
    if losses:
        est.loss_ = losses[-1]
    return est


def _sorted_outputs(last: Nest, classes: np.ndarray, loss: Loss) -> tuple[Nest, Loss]:
    """Reorder (last layer, loss) so that the outputs are in the order of the sorted classes.

    A single output gives the probability of the second class; where the two classes are swapped, its sign changes.
    Raises ValueError where a class occurs twice, or where the loss is not known to be symmetric under such a swap.
    """
    if classes.ndim != 1:
        return last, loss  # multilabel: one column for each label
    order = np.argsort(classes, kind="stable")
    if len(np.unique(classes)) != len(classes):
        raise ValueError(f"classes must differ, one for each output, got {classes.tolist()}")
    if np.array_equal(order, np.arange(len(order))):
        return last, loss
    if last["bias"].shape[0] == len(classes):
        return {"weight": last["weight"][:, order], "bias": last["bias"][order]}, loss
    if type(loss) not in (SigmoidCrossEntropy, BinaryCrossEntropy, Hinge, Focal):
        raise ValueError(
            f"the single output of {type(loss).__name__} stands for the second class and cannot be inverted: classes "
            f"must be sorted, got {classes.tolist()}"
        )
    if isinstance(loss, Focal) and loss.alpha is not None:
        loss = replace(loss, alpha=1 - loss.alpha)  # alpha is the weight of the second class
    return {"weight": -last["weight"], "bias": -last["bias"]}, loss


def _set_classes(est: Any, classes: np.ndarray) -> None:
    """Set a classifier's classes; an array of two axes means multilabel targets."""
    est._label_binarizer = LabelBinarizer().fit(classes)
    est.classes_ = est._label_binarizer.classes_


def _parsed(network: LayerLike, params: Nest) -> tuple[list[int], list[Any], list[float], Nest, LayerLike | None]:
    """(hidden units, activations, dropout rates, parameters in the order of `make_network`, the link layer or None)."""
    layers, nests = _flattened(network, params)
    dense_indices = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    if not dense_indices or dense_indices[0] != 0:
        raise ValueError("the model's network must be a Sequential of Dense layers, activations and dropout")
    hidden, activations, rates, found = [], [], [], []
    for start, end in pairwise(dense_indices):
        between = list(range(start + 1, end))
        rate = 0.0
        if between and isinstance(layers[between[-1]], Dropout):
            rate = float(layers[between.pop()].rate)
        found.append(nests[start])
        own = [layers[i] for i in between]
        activation = own[0] if len(own) == 1 else Sequential(*own) if own else Identity()
        if not isinstance(activation, Identity):
            found.append(nests[between[0]] if len(own) == 1 else [nests[i] for i in between])
        found += [{}] if rate else []
        hidden.append(layers[start].units)
        activations.append(activation)
        rates.append(rate)
    found.append(nests[dense_indices[-1]])
    rest = layers[dense_indices[-1] + 1 :]
    if len(rest) > 1 or any(not isinstance(layer, (Softmax, Sigmoid)) for layer in rest):
        raise ValueError(f"after its last Dense, the network may only have a Softmax or a Sigmoid; it has {rest}")
    return hidden, activations, rates, [*found, *[{} for _ in rest]], rest[0] if rest else None


def _flattened(network: LayerLike, params: Nest) -> tuple[list[Any], list[Nest]]:
    if not isinstance(network, Sequential):
        return [network], [params]
    pairs = [_flattened(layer, own) for layer, own in zip(network.layers, params, strict=True)]
    return [layer for layers, _ in pairs for layer in layers], [own for _, nests in pairs for own in nests]


def from_sklearn(kind: type, mlp: Any) -> Any:
    """See `BaseMLP.from_sklearn`."""
    est = kind(**{name: value for name, value in mlp.get_params().items() if name in kind().get_params()})
    if not hasattr(mlp, "coefs_"):
        return est
    for name, value in vars(mlp).items():
        if name.endswith("_") and not name.startswith("_"):
            setattr(est, name, copy.deepcopy(value))
    if is_classifier(est):
        multilabel = mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1
        _set_classes(est, np.eye(mlp.n_outputs_, dtype=int) if multilabel else mlp.classes_)
    else:
        est._columns = mlp.n_outputs_
    est._loss, _, _ = est._criterion()
    hidden = [coef.shape[1] for coef in est.coefs_[:-1]]
    est.network_ = make_network(hidden, mlp.n_outputs_, est._loss, activation=est.activation)
    est.layer_params_ = [{} for layer in est.network_.layers if not isinstance(layer, Dense)]
    est.validation_loss_curve_ = None
    return est


def to_sklearn(est: Any) -> Any:
    """See `BaseMLP.to_sklearn`."""
    kind = neural_network.MLPClassifier if is_classifier(est) else neural_network.MLPRegressor
    names = kind().get_params()
    given = {name: value for name, value in est.get_params(deep=False).items() if name in names}
    given["activation"] = _activation_name(est)
    given["learning_rate"] = est.learning_rate if isinstance(est.learning_rate, str) else "constant"
    given["solver"] = est.solver if isinstance(est.solver, str) else "adam"
    coefs, intercepts = (
        [np.array(of(leaf).to_numpy(leaf)) for leaf in leaves] for leaves in (est.coefs_, est.intercepts_)
    )
    outputs, out_activation = est.n_outputs_, est.out_activation_
    if is_classifier(est):
        binary = est._label_binarizer.y_type_ == "binary"
        if not isinstance(
            est._loss, (SoftmaxCrossEntropy, SigmoidCrossEntropy, CrossEntropy, BinaryCrossEntropy, Summed)
        ):
            raise ValueError(f"scikit-learn's classifier has no link like that of {type(est._loss).__name__}")
        if binary and outputs == 2:
            # softmax of two is the logistic function of their difference
            coefs[-1], intercepts[-1] = (w[..., 1:] - w[..., :1] for w in (coefs[-1], intercepts[-1]))
            outputs, out_activation = 1, "logistic"
        elif est._label_binarizer.y_type_ == "multiclass" and out_activation != "softmax":
            raise ValueError("scikit-learn's classifier takes a softmax for several classes")
    else:
        poisson = out_activation == "exp"
        given["loss"] = "poisson" if poisson else "squared_error"
    found = kind(**given)
    for name, value in vars(est).items():
        theirs = name.endswith("_") and not name.startswith("_") and name not in _OURS
        if theirs:
            setattr(found, name, copy.deepcopy(value))
    found.coefs_, found.intercepts_ = coefs, intercepts
    found.n_outputs_, found.out_activation_ = outputs, out_activation
    found._no_improvement_count = 0  # its partial_fit needs this counter
    if is_classifier(est):
        found._label_binarizer = copy.deepcopy(est._label_binarizer)
    return found


_OURS = {"network_", "layer_params_", "validation_loss_curve_", "learning_rate_"}


def _activation_name(est: Any) -> str:
    """scikit-learn's name of the activation. Raises ValueError for several activations, and for one without a name."""
    if any(tree.leaves(own) for own in est.layer_params_):
        raise ValueError("scikit-learn's networks have no parameters beside those of dense layers")
    count = len(est.coefs_) - 1
    layers = {activation_layer(one) for one in per_layer("activation", est.activation, count)} if count else set()
    for name, layer in ACTIVATIONS.items():
        if layers <= {layer}:
            return name if layers or not isinstance(est.activation, str) else est.activation
    raise ValueError(f"scikit-learn's networks have one activation of {sorted(ACTIVATIONS)}, not {est.activation!r}")
