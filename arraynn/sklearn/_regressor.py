"""`MLPRegressor`: scikit-learn's regressor on arraynn's blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from .._array import namespace
from .._types import Array
from ..backends import Backend
from ..losses import Huber, LogCosh, Loss, MeanAbsoluteError, MeanSquaredError, Poisson, Quantile, as_loss
from ._arrays import float_dtypes, on_host
from ._base import BaseMLP, Task
from ._conventions import HalfPoissonDeviance, Summed
from ._parameters import documented, given

NAMED = {
    "squared_error": Summed(MeanSquaredError(), 0.5, mean=True),
    "poisson": HalfPoissonDeviance(),
    "absolute_error": MeanAbsoluteError(),
    "huber": Huber(),
    "log_cosh": LogCosh(),
    "quantile": Quantile(),
}


@documented
class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """Multilayer perceptron regressor with the interface of scikit-learn's MLPRegressor, on arrays of any library.

    loss : "squared_error", halved as in scikit-learn (with several outputs, the gradient is that of their sum, the
        reported value their mean); "poisson", half of the deviance, with a log link, for y of at least 0;
        "absolute_error", "huber", "log_cosh", "quantile" (the median); or any loss of arraynn, such as
        nn.Quantile(q=0.9).
    {parameters}

    {attributes}

    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> reg = MLPRegressor(random_state=1, max_iter=2000, tol=0.1, loss="huber", learning_rate_init=0.01).fit(X, y)
    >>> reg.predict(X[:2]).shape
    (2,)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012 - scikit-learn's way
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(NAMED)), Loss, callable],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
        dtype: str | None = None,
        backend: Any = "numpy",
        callbacks: Any = (),
    ) -> None:
        self.__dict__.update(given(locals()))

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Fit to rows X and values y.

        X : (n, features) array of any library, SciPy sparse matrix or data frame. y : (n,) or (n, outputs).
        sample_weight : (n,), at least 0, or None for ones.
        Returns the estimator. Raises the errors of scikit-learn's fit.
        """
        self._fit(X, y, sample_weight)
        return self

    @available_if(lambda est: est._check_solver())  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one pass over these rows."""
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Any:
        """Predicted values of rows X: (n,), or (n, outputs), in the library of X."""
        return self._predicted(*self._outputs(X, "predict"))

    # Methods that the base class calls.

    def _targets(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, np.ndarray, np.ndarray | None]:
        options = {"accept_sparse": ["csr", "csc"], "multi_output": True, "dtype": float_dtypes(X), "reset": reset}
        X, y = validate_data(self, X, y, y_numeric=True, **options)
        y = on_host(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._columns = 1 if y.ndim == 1 else y.shape[1]
        return X, y, None

    def _criterion(self) -> tuple[Loss, int, str]:
        loss = NAMED[self.loss] if isinstance(self.loss, str) else as_loss(self.loss)
        if loss.targets == "classes":
            raise ValueError(f"{type(loss).__name__} is a loss over classes; MLPRegressor takes a loss over values")
        return loss, self._columns, "exp" if isinstance(loss, Poisson) else "identity"

    def _encoded(self, y: np.ndarray, codes: np.ndarray | None, loss: Loss) -> np.ndarray:
        return y.reshape(y.shape[0], -1).astype(np.float64)

    def _predicted(self, outputs: Array, where: Backend) -> Any:
        found = self._loss.prediction(outputs)
        return where.asarray(namespace(found).reshape(found, (-1,)) if found.shape[1] == 1 else found)

    def _score(self, task: Task, predicted: Any) -> float:
        weight = None if task.weight is None else task.engine.to_numpy(task.weight)
        predicted = predicted if isinstance(predicted, np.ndarray) else task.engine.to_numpy(predicted)
        return float(r2_score(task.y, predicted, sample_weight=weight))
