"""The base class of classifier and regressor: parameters, the order of a fit, and the pass from X to outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import tree
from .._array import is_array, namespace
from .._coupling import coupled_in_inference
from .._types import Array, LayerLike, Nest
from ..backends import Backend, backend
from ..layers import Sequential
from ..losses import Domain, Loss
from ..model import Model
from ..optimizers import Adam, Optimizer
from ..training.dispatch import as_callbacks
from ..training.inference import inference, pieces
from ..training.validation import in_domain
from ._arrays import check_same_namespace, compute_backend, dtype_name, home, on_host, take
from ._interop import from_model, from_sklearn, to_model, to_sklearn
from ._lbfgs import fit_lbfgs
from ._network import layer_sizes, make_network, nest_converter, to_attributes, to_params
from ._stochastic import Stochastic, make_optimizer

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """A stand-in: before 1.9, scikit-learn has no callbacks."""


NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


@dataclass
class Task:
    """The training data of a fit.

    x : on the engine's device, or a SciPy matrix. targets, weight : on the same device, rows as in x.
    y : the labels or values, on the host, for scores and splits. codes : for a classifier, y as scikit-learn encodes it
    for its split. shown : X, y and sample_weight as callbacks get them. home : the backend of the fitted attributes.
    engine : the backend that computes.
    """

    x: Any
    targets: Array
    weight: Array | None
    y: np.ndarray
    codes: np.ndarray | None
    shown: tuple[Any, Any, Any]
    home: Backend
    engine: Backend
    dtype: str

    @property
    def count(self) -> int:
        return int(self.x.shape[0])


class BaseMLP(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """scikit-learn's multilayer perceptron on arraynn's blocks. Use MLPClassifier or MLPRegressor."""

    network_: Sequential

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012 - scikit-learn's way
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"}), LayerLike, list, tuple],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"}), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "l1": [Interval(Real, 0, None, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "backend": "no_validation",
        "callbacks": "no_validation",  # `as_callbacks` validates them
    }

    # Methods that classifier and regressor implement.

    def _targets(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """(X, y on the host, codes), validated as in scikit-learn."""
        raise NotImplementedError

    def _criterion(self) -> tuple[Loss, int, str]:
        """(loss, number of outputs, name of their activation) for the targets that `_targets` validated."""
        raise NotImplementedError

    def _encoded(self, y: np.ndarray, codes: np.ndarray | None, loss: Loss) -> np.ndarray:
        """The loss's targets, on the host."""
        raise NotImplementedError

    def _class_weights(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        return weight

    def _predicted(self, outputs: Array, where: Backend) -> Any:
        """Predictions from outputs, in the library of `where`."""
        raise NotImplementedError

    def _score(self, task: Task, predicted: Any) -> float:
        """The validation score of predictions on a task."""
        raise NotImplementedError

    # Fitting.

    @property
    def _stochastic(self) -> bool:
        return not (isinstance(self.solver, str) and self.solver == "lbfgs")

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool = False) -> BaseMLP:
        as_callbacks(self.callbacks)
        before = dict(vars(self))
        hidden = layer_sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        where = home(X)
        X, y, codes = self._targets(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = on_host(_check_sample_weight(sample_weight, X))
        weight = self._class_weights(y, sample_weight)
        self._random_state = check_random_state(self.random_state)
        self._loss, self.n_outputs_, out_activation = self._criterion()
        targets = self._encoded(y, codes, self._loss)
        if self._loss.targets != "classes" and self._loss.domain != Domain():
            shown = f"loss={self.loss!r}" if isinstance(self.loss, str) else type(self._loss).__name__
            in_domain("y", targets, self._loss.domain, shown)
        network = make_network(hidden, self.n_outputs_, self._loss, activation=self.activation, dropout=self.dropout)
        if not first and network != getattr(self, "network_", network):  # coefs_ may have been set by hand
            try:
                self._carry_to(network)
            except ValueError:
                self.__dict__.update(before)  # a refused fit leaves the estimator unchanged
                raise
        self.network_ = network
        dtype = self.dtype or dtype_name(X if first else self.coefs_[0])
        if first:
            self._initialize(X, dtype, out_activation)
        engine = compute_backend(where, self.backend)
        task = Task(
            X.astype(dtype) if hasattr(X, "tocsr") else engine.asarray(X, dtype),
            self._put_targets(targets, engine, dtype),
            None if weight is None else engine.asarray(weight, dtype),
            y,
            codes,
            (X, y, sample_weight),
            where,
            engine,
            dtype,
        )
        task.x = _contiguous(task.x, engine)
        with engine.context():  # also for arrays made before the first step
            if self._stochastic:
                Stochastic(self, task, incremental).run()
            else:
                fit_lbfgs(self, task)
        if not all(_finite(leaf) for leaf in [*self.coefs_, *self.intercepts_]):
            raise ValueError(NON_FINITE)
        return self

    def _initialize(self, X: Any, dtype: str, out_activation: str) -> None:
        """Set the attributes of a new fit before its first step."""
        self.n_iter_, self.t_, self.out_activation_ = 0, 0, out_activation
        params, _ = self.network_.init(self._random_state, (X.shape[1],), dtype)
        self.__dict__.update(to_attributes(self.network_, params))
        self.n_layers_ = len(self.coefs_) + 1
        self._training: dict[str, Any] = {}
        for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_", "best_loss_"):
            self.__dict__.pop(name, None)

    def _carry_to(self, network: Sequential) -> None:
        """Use the fitted parameters and optimizer state for this network. Raises ValueError where shapes differ."""
        params = self._nest()
        carry = nest_converter(params, network, self.coefs_[0].shape[0])
        self.__dict__.update(to_attributes(network, carry(params)))
        kept = getattr(self, "_training", {})
        nests = {name: carry(kept[name]) for name in ("slots", "best") if kept.get(name) is not None}
        self._training = {**kept, **nests}

    @staticmethod
    def _put_targets(targets: np.ndarray, engine: Backend, dtype: str) -> Any:
        return engine.asarray(targets, engine.index_dtype if targets.dtype.kind in "iu" else dtype)

    def _hold(self, params: Nest, where: Backend) -> None:
        """Set the fitted attributes to these parameters, on the home's backend."""
        moved = tree.map(where.asarray, params)
        self.__dict__.update(to_attributes(self.network_, moved))

    def _params(self, engine: Backend, dtype: str | None = None, copied: bool = False) -> Nest:
        """The fitted attributes as the network's parameters, on this backend."""
        return tree.map(lambda leaf: engine.asarray(leaf, dtype, copy=True if copied else None), self._nest())

    def _nest(self) -> Nest:
        """The fitted attributes as the network's parameters, not moved."""
        others = getattr(self, "layer_params_", None) or [{}] * (len(self.network_.layers) - len(self.coefs_))
        return to_params(self.network_, self.coefs_, self.intercepts_, others)

    # Predicting.

    @property
    def _first_coef(self) -> Any:
        """The weights of the first layer, whose library and device are those of the fit."""
        return self.coefs_[0]

    def _outputs(self, X: Any, method: str) -> tuple[Any, Backend]:
        """(the network's outputs for X, after validation; the home of X)."""
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="_first_coef", method=method)
        where = home(X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        dtype = dtype_name(self.coefs_[0])
        engine = compute_backend(where, self.backend)
        x = X.astype(dtype).tocsr() if hasattr(X, "tocsr") else engine.asarray(X, dtype)
        return self._forward(x, self._params(engine, dtype), engine), where

    def _forward(self, x: Any, params: Nest, engine: Backend) -> Any:
        """The network's outputs in inference, computed in blocks of rows."""
        with engine.context():
            outputs = inference(engine, self.network_)
            parts = engine.parallel_map(
                lambda rows: outputs(params, _dense(take(x, rows), engine)),
                pieces(x.shape[0], engine, coupled_in_inference(self.network_)),
            )
            return parts[0] if len(parts) == 1 else engine.xp.concat(parts, axis=0)

    # Other objects.

    def to_model(self) -> Model:
        """Convert to an `arraynn.Model` with copies of the weights, which can be trained further or saved.

        Its labels are indices into `classes_`. Its loss is arraynn's own, a mean over outputs and not halved, with the
        penalty scaled to match, for steps of batch_size rows. Its optimizer starts with new state.
        """
        check_is_fitted(self)
        return to_model(self, make_optimizer(self) if self._stochastic else Adam())

    @classmethod
    def from_model(cls, model: Model, classes: Any = None) -> Any:
        """A fitted estimator with a copy of a Model's weights, and its loss and optimizer as hyperparameters.

        model : its network must be a Sequential of Dense, activations and Dropout; ValueError for another. classes :
        labels of a classifier in the order of the model's outputs (for one output, the label for 0, then that for 1).
        The estimator's outputs are in sorted order, as in scikit-learn. None means 0, 1, 2, …. Penalties of the layers
        are not copied: set alpha and l1.
        """
        return from_model(cls, model, classes)

    @classmethod
    def from_sklearn(cls, mlp: Any) -> Any:
        """An estimator with copies of the hyperparameters, weights and attributes of scikit-learn's estimator."""
        return from_sklearn(cls, mlp)

    def to_sklearn(self) -> Any:
        """Convert to scikit-learn's own estimator, with copies of the weights and equal predictions.

        Raises ValueError where scikit-learn has no such network: several different activations, layers with parameters
        of their own, other link functions. Training options that it does not have (dropout, other losses and
        optimizers, l1) are left out.
        """
        check_is_fitted(self)
        return to_sklearn(self)

    # The protocol of scikit-learn's estimators.

    def __getstate__(self) -> Any:
        """The state for pickling. A module or an array given as backend becomes the Backend, which can be pickled."""
        found = super().__getstate__()
        if not isinstance(self.backend, (str, type(None))):
            found = {**found, "backend": backend(self.backend)}
        return found

    def __sklearn_clone__(self) -> Any:
        return super(BaseMLP, copy.copy(self)).__sklearn_clone__()

    def _check_solver(self) -> bool:
        if not self._stochastic:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags

    def __sklearn_array_api_convert__(self, converter: Callable[[Any], Any]) -> BaseMLP:
        """A copy with converted arrays, for `move_estimator_to`. `classes_` stays NumPy's: it may hold strings."""
        moved: BaseMLP = clone(self)
        for name, value in vars(self).items():
            if name not in self.get_params(deep=False):
                setattr(moved, name, value if name == "classes_" else _converted(copy.copy(value), converter))
        return moved


def _converted(value: Any, converter: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _converted(item, converter) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_converted(item, converter) for item in value])
    if is_array(value) and not (isinstance(value, np.ndarray) and value.dtype.kind != "f"):
        return converter(value)
    return value


def _finite(leaf: Array) -> bool:
    xp = namespace(leaf)
    return bool(xp.all(xp.isfinite(leaf)))


def _contiguous(x: Any, engine: Backend) -> Any:
    """x with contiguous rows, so that batches are copied fast."""
    if hasattr(x, "tocsr"):
        return x.tocsr() if engine.name == "numpy" else engine.asarray(x.toarray())
    return np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x


def _dense(x: Any, engine: Backend) -> Any:
    """A SciPy matrix unchanged on NumPy, where the first layer takes it, elsewhere as a dense array."""
    return engine.asarray(x.toarray()) if hasattr(x, "tocsr") and engine.name != "numpy" else x
