"""The documentation of the hyperparameters and attributes that classifier and regressor share."""

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
    "batch_size": 'rows in each step, at least 1; "auto" is min(200, n).',
    "learning_rate": """"constant"; "invscaling", learning_rate_init / (rows seen + 1)^power_t; "adaptive", divided by 5
        whenever fit would stop, down to 1e-6 (these two for solver="sgd" or an optimizer); or any schedule of
        arraynn's, step -> rate.""",
    "learning_rate_init": "above 0; for solver sgd and adam.",
    "power_t": "at least 0.",
    "max_iter": "epochs, or iterations of lbfgs, at least 1.",
    "shuffle": "a new order of the rows each epoch, the same as scikit-learn's.",
    "random_state": "None, integer or RandomState: initial weights, split, order, dropout, in scikit-learn's order.",
    "tol": "at least 0; the least improvement that counts. For lbfgs, it stops when all |dloss/dw| are at most tol.",
    "verbose": "prints a line for each epoch.",
    "warm_start": "fit continues from the weights of the previous fit.",
    "momentum": "in [0, 1]; for solver sgd.",
    "nesterovs_momentum": "whether to use Nesterov's momentum; for solver sgd.",
    "early_stopping": "stops by the score on held-out rows, and keeps the best weights.",
    "validation_fraction": "in (0, 1): the share of rows held out.",
    "beta_1": "in [0, 1); for solver adam.",
    "beta_2": "in [0, 1); for solver adam.",
    "epsilon": "above 0; for solver adam, added to √v (the paper's ε̂, not its ε).",
    "n_iter_no_change": "epochs without improvement before it stops, at least 1; inf never stops.",
    "max_fun": "evaluations of the loss that lbfgs may take, at least 1.",
    "dropout": "probability of dropping after each hidden activation, in [0, 1), or a list, one for each.",
    "l1": "at least 0; l1 Σ |w| over the weights, divided like alpha's term.",
    "clip_norm": "above 0, or None: the gradient is scaled down to this norm. Not for lbfgs.",
    "dtype": '"float32", "float64", or None for that of X (integers become float64).',
    "backend": """the library that computes for a NumPy X: "numpy", "auto" (a GPU where one works), "cupy",
        "torch:cuda", …; results are NumPy arrays. Under array_api_dispatch, other arrays are computed on their own
        library and device.""",
    "callbacks": """one arraynn callback or several, called with a Model that has these weights; they may replace
        weights and optimizer. The file of a BestWeights or a Checkpoint is a saved model: see `from_model`.""",
}

ATTRIBUTES = """coefs_, intercepts_ : weights (n_in, n_out) and bias (n_out,) of each dense layer, in the library of X.
    loss_, loss_curve_, best_loss_ : the loss with penalty, of the last epoch, of each epoch, and the least.
    validation_scores_, validation_loss_curve_, best_validation_score_ : accuracy or R², the loss without penalty, and
        the best score, on the held-out rows; None without early_stopping.
    learning_rate_ : the current learning rate. n_iter_ : epochs of this fit. t_ : rows seen in all fits.
    network_ : the layers, an nn.Sequential. layer_params_ : parameters of layers that are not dense, {} for most.
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_ : as in scikit-learn."""


def documented(kind: Kind) -> Kind:
    """Insert the texts above into the class's docstring, if it has one (python -OO removes docstrings)."""
    if kind.__doc__:
        parameters = "\n    ".join(f"{name} : {text}" for name, text in PARAMETERS.items())
        kind.__doc__ = kind.__doc__.format(parameters=parameters, attributes=ATTRIBUTES)
    return kind


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of __init__, from its locals()."""
    return {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
