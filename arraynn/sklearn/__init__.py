"""scikit-learn's multilayer perceptrons on arraynn's blocks: drop-ins for MLPClassifier and MLPRegressor.

    from arraynn.sklearn import MLPClassifier

Same parameters, attributes, random streams, warnings and errors; and dropout, other losses, optimizers and activations,
class weights, GPUs. Needs the extra: pip install "arraynn[sklearn]".
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
