"""The hyperparameters and attributes that classifier and regressor share, documented once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=type)

PARAMETERS = {
    "hidden_layer_sizes": "units of each hidden layer, at least 1 each; () is a linear model.",
    "activation": """"identity", "logistic", "tanh" or "relu"; any layer, such as nn.GELU(); or a list, one for each
        hidden layer.""",
    "solver": """"adam", "sgd" (with momentum), "lbfgs" (all rows at once, through SciPy); or any arraynn optimizer,
        such as nn.AdamW(0.01), which brings its own learning rate.""",
    "alpha": "at least 0; α/2 Σ w² over the weights, not the biases, divided by the batch's rows (or weight).",
    "batch_size": 'rows of a step, at least 1; "auto" is min(200, n).',
    "learning_rate": """"constant"; "invscaling", learning_rate_init / (rows seen + 1)^power_t; "adaptive", divided by 5
        whenever fit would stop, down to 1e-6 (these two for solver="sgd" or an optimizer); or any schedule of
        arraynn's, step -> rate.""",
    "learning_rate_init": "above 0; for solver sgd and adam.",
    "power_t": "at least 0.",
    "max_iter": "epochs, or iterations of lbfgs, at least 1.",
    "shuffle": "a new order of the rows each epoch, the same as scikit-learn's.",
    "random_state": "None, integer or RandomState: initial weights, split, order, dropout, in scikit-learn's order.",
    "tol": "at least 0; what counts as better. For lbfgs, the largest |dloss/dw| at which it stops.",
    "verbose": "prints a line an epoch.",
    "warm_start": "fit goes on from the weights of the fit before.",
    "momentum": "in [0, 1]; for solver sgd.",
    "nesterovs_momentum": "looks ahead along the momentum.",
    "early_stopping": "stops by the score on rows held out, and keeps the best weights.",
    "validation_fraction": "in (0, 1): the rows held out.",
    "beta_1": "in [0, 1); for solver adam.",
    "beta_2": "in [0, 1); for solver adam.",
    "epsilon": "above 0; for solver adam, added to √v (the paper's ε̂, not its ε).",
    "n_iter_no_change": "epochs without improvement before it stops, at least 1; inf never stops.",
    "max_fun": "evaluations of the loss that lbfgs may take, at least 1.",
    "dropout": "probability of dropping after each hidden activation, in [0, 1), or a list, one for each.",
    "l1": "at least 0; l1 Σ |w| over the weights, divided as alpha's term is.",
    "clip_norm": "above 0, or None: the gradient is scaled down to this norm. Not for lbfgs.",
    "dtype": 'None, that of X (integers become float64), "float32" or "float64".',
    "backend": """where NumPy's X is computed: "numpy", "auto" (a GPU where one is proved), "cupy", "torch:cuda", …;
        results come back as NumPy's. Under array_api_dispatch other arrays are computed where they are.""",
    "callbacks": """arraynn callbacks, several or one, called with a Model with these weights; they may exchange
        weights and optimizer. The file of a BestWeights or a Checkpoint is a saved model: see `from_model`.""",
}

ATTRIBUTES = """coefs_, intercepts_ : weights (n_in, n_out) and bias (n_out,) of each dense layer, in the library of X.
    loss_, loss_curve_, best_loss_ : the loss, penalty included: of the last epoch, of each, the least.
    validation_scores_, validation_loss_curve_, best_validation_score_ : accuracy or R², and the loss without penalty,
        on the rows held out; None without early_stopping.
    learning_rate_ : the current one. n_iter_, t_ : epochs of this fit, rows seen in all.
    network_ : the layers, an nn.Sequential. layer_params_ : parameters of layers that are not dense, {} for most.
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_ : as in scikit-learn."""


def documented(kind: Kind) -> Kind:
    """The class with the texts above put into its docstring, as long as there is one (python -OO takes it away)."""
    if kind.__doc__:
        parameters = "\n    ".join(f"{name} : {text}" for name, text in PARAMETERS.items())
        kind.__doc__ = kind.__doc__.format(parameters=parameters, attributes=ATTRIBUTES)
    return kind


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of __init__, from its locals()."""
    return {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
