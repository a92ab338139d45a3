"""`MLPClassifier`: scikit-learn's classifier on arraynn's blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from .._array import namespace
from .._types import Array
from ..backends import Backend, of
from ..losses import Focal, Hinge, Loss, as_loss
from ._arrays import float_dtypes, on_host
from ._base import BaseMLP, Task
from ._clipped import ClippedSigmoidCrossEntropy, ClippedSoftmaxCrossEntropy
from ._conventions import Summed
from ._parameters import documented, given

NAMED = {"focal": Focal(), "hinge": Hinge()}


def _has_probabilities(est: Any) -> bool:
    loss = _loss_of(est.loss)
    if loss is not None and type(loss).probabilities is Loss.probabilities:
        raise AttributeError(f"{type(loss).__name__} gives no probabilities; use loss='log_loss'")
    return True


def _loss_of(loss: Any) -> Loss | None:
    """The arraynn loss that is named or given; None for scikit-learn's log_loss, which depends on the labels."""
    if isinstance(loss, str):
        return NAMED.get(loss)
    return as_loss(loss)


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """Multilayer perceptron classifier with the interface of scikit-learn's MLPClassifier, on arrays of any library.

    {parameters}
    loss : "log_loss", the cross-entropy of softmax for several classes, of the logistic function for two classes and
        for multilabel targets; "hinge", "focal"; or any loss of arraynn, such as
        nn.SoftmaxCrossEntropy(label_smoothing=0.1). A loss over classes has one output for each class; other losses
        have one output for two classes.
    class_weight : None, "balanced" (n / (classes · rows of the class)) or {{label: weight}}; multiplies sample_weight.
        For multilabel targets a list of dicts, one for each label. "balanced" is for fit only.

    {attributes}
    classes_ : labels, sorted; outputs are in their order.

    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(n_samples=100, random_state=1)
    >>> clf = MLPClassifier(random_state=1, max_iter=300, dropout=0.1, tol=0.01).fit(X, y)
    >>> clf.predict(X[:5])
    array([1, 1, 1, 0, 0])
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012 - scikit-learn's way
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss", "hinge", "focal"}), Loss, callable],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def __init__(
        self,
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
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: Any = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
        dtype: str | None = None,
        backend: Any = "numpy",
        callbacks: Any = (),
    ) -> None:
        self.__dict__.update(given(locals()))

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Fit to rows X and labels y.

        X : (n, features) array of any library, SciPy sparse matrix or data frame. y : (n,) labels of any kind, or
        (n, labels) of 0 and 1 for multilabel targets. sample_weight : (n,), at least 0, or None for ones.
        Returns the estimator. Raises the errors of scikit-learn's fit.
        """
        self._fit(X, y, sample_weight)
        return self

    @available_if(lambda est: est._check_solver())  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for one pass over these rows. classes : all labels that later calls may have; needed at the first."""
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all rows. Give "
                "class_weight as a dict: compute_class_weight('balanced', classes=classes, y=y) on all of y, or on a "
                "large enough sample, computes its weights."
            )
        classes = on_host(classes)
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(on_host(y) if multilabel else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Any:
        """Predicted labels of rows X: (n,), or (n, labels) of 0 and 1. Numeric labels are in the library of X."""
        outputs, where = self._outputs(X, "predict")
        return self._predicted(outputs, where)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Class probabilities (n, classes) of rows X, in the order of `classes_`, in the library of X."""
        return self._probabilities(*self._outputs(X, "predict_proba"))

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of `predict_proba`."""
        found = self._probabilities(*self._outputs(X, "predict_log_proba"))
        with np.errstate(divide="ignore"):
            return namespace(found).log(found)

    def _probabilities(self, outputs: Array, where: Backend) -> Any:
        xp, found = namespace(outputs), self._loss.probabilities(outputs)
        if found.shape[1] == 1:
            found = xp.concat([1 - found, found], axis=1)
        elif self._loss.targets != "classes" and self._label_binarizer.y_type_ == "multiclass":
            found = found / xp.sum(found, axis=1, keepdims=True)  # one-vs-rest probabilities, normalized
        return where.asarray(found)

    # Methods that the base class calls.

    def _targets(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, np.ndarray, np.ndarray | None]:
        options = {"accept_sparse": ["csr", "csc"], "multi_output": True, "dtype": float_dtypes(X), "reset": reset}
        X, y = validate_data(self, X, y, **options)
        y = on_host(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(y)
        codes: np.ndarray = self._label_binarizer.transform(y).astype(bool)
        return X, y, codes

    def _check_classes(self, y: np.ndarray) -> None:
        classes = unique_labels(y)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _criterion(self) -> tuple[Loss, int, str]:
        kind, count = self._label_binarizer.y_type_, len(self.classes_)
        columns = count if kind != "binary" else 1
        loss = _loss_of(self.loss)
        if loss is None and kind == "multiclass":
            return ClippedSoftmaxCrossEntropy(), columns, "softmax"
        if loss is None:
            log_loss = ClippedSigmoidCrossEntropy()
            return log_loss if columns == 1 else Summed(log_loss), columns, "logistic"
        if loss.targets != "classes":
            return loss, columns, "logistic" if loss.targets == "binary" else "identity"
        if kind.startswith("multilabel"):
            raise ValueError(f"{type(loss).__name__} takes one class per row, but y is multilabel")
        return loss, max(columns, 2), "softmax"

    def _encoded(self, y: np.ndarray, codes: np.ndarray | None, loss: Loss) -> np.ndarray:
        assert codes is not None
        if loss.targets == "classes":
            labels: np.ndarray = codes[:, 0].astype(np.int64) if codes.shape[1] == 1 else codes.argmax(axis=1)
            return labels
        return codes.astype(np.float64)

    def _class_weights(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return weight
        own: np.ndarray
        if isinstance(self.class_weight, dict) and y.ndim == 1:
            # computed from all classes, as the rows of a partial_fit may lack some of them
            table = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            own = table[np.searchsorted(self.classes_, y)]
        else:
            own = compute_sample_weight(self.class_weight, y)
        return own if weight is None else own * weight

    def _predicted(self, outputs: Array, where: Backend) -> Any:
        xp, kind = namespace(outputs), self._label_binarizer.y_type_
        if kind == "multiclass" or self._loss.targets == "classes":
            chosen = xp.argmax(outputs, axis=1)
        else:
            found = self._loss.prediction(outputs)
            found = found if xp.isdtype(found.dtype, "bool") else found > 0.5
            chosen = xp.astype(found if kind.startswith("multilabel") else found[:, 0], of(outputs).index_dtype)
        if kind.startswith("multilabel"):
            return csr_matrix(chosen) if self._label_binarizer.sparse_input_ else where.asarray(chosen)
        classes = self.classes_
        if len(classes) == 1:
            chosen = chosen * 0
        if classes.dtype.kind not in "iufb":
            return classes[np.asarray(where.to_numpy(where.asarray(chosen)))]
        return where.xp.take(where.asarray(classes), where.asarray(chosen), axis=0)

    def _score(self, task: Task, predicted: Any) -> float:
        weight = None if task.weight is None else task.engine.to_numpy(task.weight)
        predicted = predicted if isinstance(predicted, np.ndarray) else on_host(predicted)
        return float(accuracy_score(task.y, predicted, sample_weight=weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
