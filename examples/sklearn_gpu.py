"""A scikit-learn estimator on a GPU, in two ways: `backend=`, and scikit-learn's array API dispatch.

Needs scikit-learn 1.9; a GPU where there is one, else it shows the same on the CPU.
"""

# %% What there is
import os
import sys
from importlib.util import find_spec

if find_spec("sklearn") is None:
    print('this lesson needs scikit-learn: pip install "arraynn[sklearn]"')
    sys.exit()
os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported: dispatch needs it

import time
import warnings

import numpy as np
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

import arraynn as nn
from arraynn.sklearn import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
x, labels = nn.datasets.spiral(samples=500, classes=3)
x = x.astype("float32")
options = {
    "hidden_layer_sizes": (64, 64),
    "max_iter": 60,
    "learning_rate_init": 0.01,
    "random_state": 0,
    "batch_size": 300,
    "dropout": 0.05,
}
backend = nn.backend("auto")
print(f"backend {backend.name}: {backend.reason}")

# %% NumPy in, NumPy out, computed where `backend=` says
for name in dict.fromkeys(("numpy", backend.name)):
    began = time.perf_counter()
    mlp = MLPClassifier(backend=name, **options).fit(x, labels)
    seconds = time.perf_counter() - began
    print(f"{name}: accuracy {mlp.score(x, labels):.3f}, {seconds:.2f} s, weights of {type(mlp.coefs_[0]).__name__}")

# %% Arrays of another library: everything follows X
with config_context(array_api_dispatch=True):
    there = backend if backend.name != "numpy" else nn.backend("torch") if find_spec("torch") else backend
    mlp = MLPClassifier(**options).fit(there.asarray(x), there.asarray(np.asarray(labels)))
    answers = mlp.predict(there.asarray(x))
    print(f"{there.name}: weights of {type(mlp.coefs_[0]).__name__}, answers of {type(answers).__name__}")
    right = float(np.mean(there.to_numpy(answers) == labels))
print(f"the spiral is told apart: {right > 0.8}")
# > the spiral is told apart: True
