"""Names that other libraries use: which of ours they mean, and what to answer where no single one is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

#: what other libraries call a public name, in small letters without underscores
PUBLIC = {
    "linear": "Dense",
    "fullyconnected": "Dense",
    "layerdense": "Dense",
    "layerdropout": "Dropout",
    "activationrelu": "ReLU",
    "activationsoftmax": "Softmax",
    "activationsigmoid": "Sigmoid",
    "activationlinear": "Identity",
    "activationsoftmaxlosscategoricalcrossentropy": "softmax_cross_entropy",
    "batchnormalization": "BatchNorm",
    "batchnorm1d": "BatchNorm",
    "batchnorm2d": "BatchNorm",
    "avgpool1d": "AveragePool1D",
    "avgpool2d": "AveragePool2D",
    "averagepooling1d": "AveragePool1D",
    "averagepooling2d": "AveragePool2D",
    "maxpooling1d": "MaxPool1D",
    "maxpooling2d": "MaxPool2D",
    "adaptiveavgpool2d": "GlobalAveragePool",
    "globalaveragepooling1d": "GlobalAveragePool",
    "globalaveragepooling2d": "GlobalAveragePool",
    "globalmaxpooling1d": "GlobalMaxPool",
    "globalmaxpooling2d": "GlobalMaxPool",
    "groupnormalization": "GroupNorm",
    "rmsnormalization": "RMSNorm",
    "simplernn": "RNN",
    "unflatten": "Reshape",
    "layernormalization": "LayerNorm",
    "swish": "SiLU",
    "add": "Residual",
    "optimizeradam": "Adam",
    "optimizersgd": "SGD",
    "optimizeradagrad": "Adagrad",
    "optimizerrmsprop": "RMSProp",
    "mseloss": "mean_squared_error",
    "meansquarederror": "MeanSquaredError",
    "lossmeansquarederror": "mean_squared_error",
    "l1loss": "mean_absolute_error",
    "lossmeanabsoluteerror": "mean_absolute_error",
    "huberloss": "huber",
    "smoothl1loss": "huber",
    "kldivloss": "kl_divergence",
    "poissonnllloss": "poisson",
    "hingeloss": "hinge",
    "modelcheckpoint": "Checkpoint",
    "csvlogger": "CSVLog",
    "cosineannealinglr": "CosineDecay",
    "cosinedecay": "CosineDecay",
    "exponentiallr": "ExponentialDecay",
    "steplr": "StepDecay",
    "multisteplr": "PiecewiseConstant",
    "onecyclelr": "OneCycle",
    "mlpclassifier": "sklearn.MLPClassifier",
    "mlpregressor": "sklearn.MLPRegressor",
}

#: what other libraries call an argument
ARGUMENTS = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "alpha": "slope or learning_rate",
    "learning_rate_init": "learning_rate",
    "beta_1": "beta1",
    "beta_2": "beta2",
    "eps": "epsilon",
    "p": "rate",
    "drop_rate": "rate",
    "negative_slope": "slope",
    "n_neurons": "units",
    "out_features": "units",
    "n_outputs": "units",
    "hidden_size": "units",
    "out_channels": "filters",
    "num_heads": "heads",
    "key_dim": "key_units",
    "value_dim": "value_units",
    "is_causal": "causal",
    "num_groups": "groups",
    "num_embeddings": "vocabulary",
    "embedding_dim": "units",
    "max_len": "length",
    "dilation_rate": "dilation",
    "go_backwards": "reverse",
    "kernel_initializer": "weight_initializer",
    "kernel_regularizer": "weight_regularizer",
}
#: what to do instead of giving an argument that other libraries have
INSTEAD = {
    "activation": "an activation is a layer of its own: nn.{kind}(…), nn.ReLU()",
    "betas": "give beta1 and beta2",
    "clipnorm": "clipping belongs to the training: nn.Model(…, clip_norm=…)",
    "clip_norm": "clipping belongs to the training: nn.Model(…, clip_norm=…)",
    "decay": "a rate that falls is a schedule: learning_rate=nn.InverseTimeDecay(0.05, decay=5e-5)",
    "from_logits": "the name says it: nn.softmax_cross_entropy and nn.sigmoid_cross_entropy take logits, "
    "nn.cross_entropy and nn.binary_cross_entropy probabilities",
    "batch_first": "sequences are (N, T, D) here; leave it out",
    "bidirectional": "both directions are a layer around it: nn.Bidirectional(nn.{kind}(…))",
    "data_format": "channels come last here, (N, H, W, C); nn.Permute((2, 3, 1)) puts them there",
    "embed_dim": "the width of the input is inferred from the data; leave it out",
    "in_channels": "the channels of the input are inferred from the data; leave it out",
    "input_size": "the width of the input is inferred from the data; leave it out",
    "num_layers": "layers stand one behind another: nn.{kind}(…, return_sequences=True), nn.{kind}(…)",
    "num_channels": "the channels of the input are inferred from the data; leave it out",
    "in_features": "the number of inputs is inferred from the data; leave it out",
    "input_dim": "the number of inputs is inferred from the data; leave it out",
    "input_shape": "the number of inputs is inferred from the data; leave it out",
    "n_inputs": "the number of inputs is inferred from the data; leave it out",
    "l1": "give weight_regularizer=nn.L1(…)",
    "l2": "give weight_regularizer=nn.L2(…)",
    "weight_regularizer_l1": "give weight_regularizer=nn.L1(…)",
    "weight_regularizer_l2": "give weight_regularizer=nn.L2(…)",
    "bias_regularizer_l2": "give bias_regularizer=nn.L2(…)",
    "params": "parameters go to optimizer.init(params) and optimizer.update(params, grads, state)",
    "reduction": "a loss is the mean over the rows; weigh them by sample_weight",
    "weight_decay": "nn.AdamW decays weights; a penalty on them is weight_regularizer=nn.L2(…) of a layer",
}

#: what other libraries ask of a model
METHODS = {
    "add": "layers are given together: nn.Sequential(nn.Dense(64), nn.ReLU(), nn.Dense(3))",
    "backward": "fit trains; block by block, every forward returns its backward: y, backward = network(params, x, key)",
    "compile": "loss, optimizer and metrics are given when it is made: nn.Model(network, loss, optimizer)",
    "eval": "a pass without a key is inference; predict and evaluate make such passes",
    "finalize": "nothing needs to be finalized; fit builds what it needs",
    "fit_generator": "fit takes an iterable of (x, y) batches",
    "forward": "call it: outputs = model(x)",
    "load_state_dict": "assign model.params, or load a file by nn.Model.load(path)",
    "load_weights": "assign model.params, or load a file by nn.Model.load(path)",
    "parameters": "the weights are model.params",
    "score": "evaluate returns the loss and the metrics",
    "set": "loss, optimizer and metrics are given when it is made: nn.Model(network, loss, optimizer)",
    "state_dict": "the weights are model.params, and model.save(path) writes them to a file",
    "train": "fit trains: model.fit(x, y, epochs=10)",
    "train_on_batch": "fit takes an iterable of (x, y) batches; nn.make_train_step takes a single one",
    "weights": "the weights are model.params",
    "get_weights": "the weights are model.params",
    "set_weights": "assign the weights to model.params",
}

PAIRS = {
    "binary": "nn.sigmoid_cross_entropy takes logits (no last activation), nn.binary_cross_entropy takes "
    "probabilities (after nn.Sigmoid())",
    "classes": "nn.softmax_cross_entropy takes logits (no last activation), nn.cross_entropy takes probabilities "
    "(after nn.Softmax())",
}


#: the layers that an activation's name may mean: each elementwise one of the library adds its own
ACTIVATIONS = {"Softmax"}


def plain(name: str) -> str:
    """The name in small letters, without what is none.

    >>> plain("Sparse_Categorical-Crossentropy")
    'sparsecategoricalcrossentropy'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The names that are most like this one, the nearest first; letters' case does not count.

    >>> nearest("trian", ["train", "predict"])
    ['train']
    """
    by_plain: dict[str, str] = {}
    for one in known:
        by_plain.setdefault(plain(one), one)
    return [by_plain[one] for one in get_close_matches(plain(name), by_plain, n=most)]


def guess(name: str, known: Iterable[str], prefix: str = "") -> str:
    """ "; did you mean 'train'?", or "" where no name is near.

    >>> guess("trian", ["train", "predict"])
    "; did you mean 'train'?"
    """
    near = [repr(one) if not prefix else f"{prefix}{one}" for one in nearest(name, known)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def cross_entropies(name: str) -> str:
    """The two forms that a cross-entropy of another library may mean; "" of any other name.

    Libraries differ in whether theirs takes logits or probabilities, so that a guess would be a silent wrong number.

    >>> cross_entropies("BCEWithLogitsLoss")[:42]
    'nn.sigmoid_cross_entropy takes logits (no '
    """
    name = plain(name)
    if not re.search(
        r"crossentropy|^x?ent$|^b?ce(loss)?$|^bce|^nll|negativeloglikelihood|logloss|logistic|deviance", name
    ):
        return ""
    if re.search(r"categorical|softmax|multi|^ce|^nll|^crossentropyloss$", name):
        return PAIRS["classes"]
    if re.search(r"bin|^bce|sigmoid|logits", name):
        return PAIRS["binary"]
    return f"for classes {PAIRS['classes']}; for yes or no {PAIRS['binary']}"


def unexpected(kind: str, name: str, value: Any, accepted: Iterable[str]) -> str:
    """The one-line answer to an argument that `kind`, a class of hyperparameters, does not take.

    >>> unexpected("Adam", "lr", 0.01, ["learning_rate", "beta1"])
    "Adam takes no argument 'lr'; it is learning_rate here: Adam(learning_rate=0.01)"
    """
    accepted = list(accepted)
    said = f"{kind} takes no argument {name!r}; "
    ours = next((own for own in ARGUMENTS.get(name, "").split(" or ") if own in accepted), "")
    if name == "activation" and isinstance(value, str):
        layer = {"softmax": "Softmax", "linear": "Identity", "swish": "SiLU"}.get(value.lower())
        layer = layer or next(iter(nearest(value, sorted(ACTIVATIONS), 1)), "ReLU")
        example = "64" if kind == "Dense" else "…"
        return f"{said}an activation is a layer of its own: nn.{kind}({example}), nn.{layer}()"
    if ours:
        return f"{said}it is {ours} here: {kind}({ours}={value!r})"
    if name in INSTEAD:
        return said + INSTEAD[name].format(kind=kind)
    near = nearest(name, accepted)
    return said + (f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(accepted) or 'none'}")


def no_attribute(module: str, name: str, known: Iterable[str]) -> str:
    """The one-line answer to a public name that does not exist.

    >>> no_attribute("arraynn", "Linear", ["Dense"])
    "module 'arraynn' has no attribute 'Linear'; it is nn.Dense here"
    """
    said = f"module {module!r} has no attribute {name!r}"
    known = list(known)
    ours = PUBLIC.get(plain(name), "")
    if ours and (ours in known or "." in ours):
        return f"{said}; it is nn.{ours} here"
    if pairs := cross_entropies(name):
        return f"{said}; {pairs}"
    return said + guess(name, known, "nn.")
