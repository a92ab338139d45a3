"""scikit-learn's multilayer perceptrons on arraynn's blocks: drop-ins for MLPClassifier and MLPRegressor.

    from arraynn.sklearn import MLPClassifier

Same parameters, attributes, random streams, warnings and errors; and dropout, other losses, optimizers and activations,
class weights, GPUs. Needs the extra: pip install "arraynn[sklearn]".

Where scikit-learn's are at odds with themselves, these differ on purpose:

lbfgs           minimizes what it differentiates, where theirs compares a clipped value, or with several outputs a mean,
                with the gradient of another; loss_ is in their terms. float32 stays float32.
partial_fit     takes hyperparameters set since the last call; refuses lbfgs in the regressor too; after lbfgs it works.
early_stopping  keeps the best weights in a second fit with warm_start, where theirs goes on writing into them.
weights         a batch whose weights are all 0 is no step, where theirs divides by 0.
predict         answers in the dtype of the weights, where float64 rows turn theirs from float32 into float64.
warnings        NumPy's own, of overflow and of log 0, are not let through.
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
    """A fitted MLPClassifier or MLPRegressor, by the model's loss; see `MLPClassifier.from_model`."""
    kind = MLPRegressor if model.loss.targets not in ("classes", "binary") and classes is None else MLPClassifier
    return kind.from_model(model, classes) if kind is MLPClassifier else kind.from_model(model)


def from_sklearn(mlp: Any) -> Any:
    """The drop-in for a scikit-learn MLPClassifier or MLPRegressor, fitted where that is; see `from_sklearn` there."""
    kind = MLPClassifier if hasattr(mlp, "predict_proba") else MLPRegressor
    return kind.from_sklearn(mlp)
