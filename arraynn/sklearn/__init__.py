"""Drop-in replacements for scikit-learn's MLPClassifier and MLPRegressor, built from arraynn's blocks.

    from arraynn.sklearn import MLPClassifier

They have the same parameters, attributes, random streams, warnings and errors. They add dropout, other losses,
optimizers and activations, class weights, and GPUs. Needs the extra: pip install "arraynn[sklearn]".

Where scikit-learn contradicts itself, these differ on purpose:

lbfgs           minimizes the function that it differentiates. scikit-learn's value is clipped, or with several outputs
                a mean, while its gradient is that of another function. loss_ is as scikit-learn defines it. float32
                stays float32.
partial_fit     uses hyperparameters set since the last call. It works after lbfgs. With lbfgs, the regressor refuses
                it too.
early_stopping  keeps the best weights in a second fit with warm_start; scikit-learn overwrites them.
weights         a batch whose weights are all 0 changes nothing; scikit-learn divides by 0.
predict         returns the dtype of the weights; scikit-learn turns float32 into float64 for float64 rows.
warnings        NumPy's warnings of overflow and of log 0 are suppressed.
"""

try:
    import sklearn as _sklearn
except ImportError as error:
    raise ImportError(f'arraynn.sklearn needs scikit-learn ({error}): pip install "arraynn[sklearn]"') from None

from typing import Any

from ._classifier import MLPClassifier
from ._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_model", "from_sklearn"]

del _sklearn


def from_model(model: Any, classes: Any = None) -> Any:
    """A fitted MLPClassifier or MLPRegressor, chosen by the model's loss; see `MLPClassifier.from_model`."""
    kind = MLPRegressor if model.loss.targets not in ("classes", "binary") and classes is None else MLPClassifier
    return kind.from_model(model, classes) if kind is MLPClassifier else kind.from_model(model)


def from_sklearn(mlp: Any) -> Any:
    """The replacement for a scikit-learn MLPClassifier or MLPRegressor, fitted if that is; see its `from_sklearn`."""
    kind = MLPClassifier if hasattr(mlp, "predict_proba") else MLPRegressor
    return kind.from_sklearn(mlp)
