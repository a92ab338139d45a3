"""The drop-in beside scikit-learn's own: a pipeline on the digits, then a grid over what theirs does not have.

Needs scikit-learn: pip install "arraynn[sklearn]"
"""

# %% Two estimators, one interface
import sys
import time
import warnings
from importlib.util import find_spec

if find_spec("sklearn") is None:
    print('this lesson needs scikit-learn: pip install "arraynn[sklearn]"')
    sys.exit()

import numpy as np
from sklearn import neural_network
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import arraynn as nn
from arraynn.sklearn import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)

# %% Side by side: equal hyperparameters and seeds give equal networks, to rounding
options = {"hidden_layer_sizes": (100,), "max_iter": 30, "random_state": 0}
found = {}
for name, kind in (("scikit-learn", neural_network.MLPClassifier), ("arraynn", MLPClassifier)):
    pipeline = make_pipeline(MinMaxScaler(), kind(**options))
    began = time.perf_counter()
    pipeline.fit(x_train, y_train)
    seconds = time.perf_counter() - began
    found[name] = pipeline[-1].coefs_[0]
    print(f"{name:12s}  accuracy {pipeline.score(x_test, y_test):.4f}  {seconds:.2f} s")

apart = np.max(np.abs(found["arraynn"] - found["scikit-learn"])) / np.max(np.abs(found["scikit-learn"]))
print(f"weights equal to 1e-5: {apart < 1e-5}")
# > weights equal to 1e-5: True

# %% What theirs does not have is searched as what it has
pipeline = make_pipeline(MinMaxScaler(), MLPClassifier(**options))
grid = {
    "mlpclassifier__dropout": [0.0, 0.2],
    "mlpclassifier__activation": ["relu", nn.GELU()],
    "mlpclassifier__solver": ["adam", nn.AdamW(0.01)],
}
search = GridSearchCV(pipeline, grid, cv=3).fit(x_train, y_train)
best = {name.removeprefix("mlpclassifier__"): value for name, value in search.best_params_.items()}
print(f"best: {best}, accuracy {search.score(x_test, y_test):.4f}")
print(f"more than 95 of 100 digits are read: {search.score(x_test, y_test) > 0.95}")
# > more than 95 of 100 digits are read: True
