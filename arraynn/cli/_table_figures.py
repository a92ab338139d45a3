"""Evaluates a network on a table: figures in the target's own unit, baselines, and the importance of each column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..encoding import TableEncoding

ROWS = 2_000  #: rows on which a column's importance is measured, at most
SHUFFLES = 5  #: shuffles of each column
BASELINE_ROWS = 100_000  #: rows that a baseline is fitted to, at most
BLOCK = 2**14  #: rows in each block of a baseline's predictions
BASELINE_WIDTH = 2_000  #: encoded columns that a baseline takes, at most

Sets = dict[str, tuple[Any, Any]]
Figures = dict[str, dict[str, float]]


def take_rows(x: Any, rows: Any) -> Any:
    """Some rows of x, an array or a tuple."""
    return tuple(part[rows] for part in x) if isinstance(x, tuple) else x[rows]


def figures(encoding: TableEncoding, y: Any, prediction: Any, probabilities: Any = None) -> Figures:
    """The figures of predictions on encoded rows, {"": {figure: value}}.

    For several targets, the figures of each by its name, and the mean of their R² under `mean_of`.
    Values: R², RMSE and mean absolute error, in the target's own unit. (RMSE and MAE of targets with different units
    have no common mean.) Classes (prediction holds class indices): accuracy and, given probabilities, the log loss,
    -mean log of the true class's probability.
    """
    y = np.asarray(y)
    if encoding.classes is None:
        truth, found = (np.asarray(part, np.float64) for part in (encoding.decode(y), prediction))
        return by_target(encoding, truth, found, _of_values)
    result = {"accuracy": float((np.asarray(prediction) == y).mean())}
    if probabilities is not None:
        own = np.asarray(probabilities, np.float64)[np.arange(len(y)), y]
        result["log loss"] = float(-np.log(np.clip(own, 1e-15, 1)).mean())
    return {"": result}


def by_target(encoding: TableEncoding, truth: Any, found: Any, measure: Callable[..., dict[str, float]]) -> Figures:
    """{"": measure(truth, found)} for one target; for several, the figures of each by its name, and their mean R².

    truth, found : true and predicted values, (N,) or (N, K), in the targets' own units. measure : takes (N,) values of
    one target.
    """
    truth, found = (np.asarray(part).reshape(len(truth), -1) for part in (truth, found))
    each = {target.name: measure(truth[:, k], found[:, k]) for k, target in enumerate(encoding.targets)}
    if len(each) == 1:
        return {"": next(iter(each.values()))}
    for name in ("R²", "r2"):
        known = [one[name] for one in each.values() if name in one and not np.isnan(one[name])]
        if known:
            each[mean_of(encoding)] = {name: float(np.mean(known))}
    return each


def mean_of(encoding: TableEncoding) -> str:
    """The name of the row that holds the mean over several targets."""
    return f"mean of {len(encoding.targets)} targets"


def score(encoding: TableEncoding, y: Any, prediction: Any) -> float:
    """Accuracy, or R² (the mean over several targets); nan where no target varies."""
    found = figures(encoding, y, prediction)
    if encoding.classes is not None:
        return found[""]["accuracy"]
    one = found.get(mean_of(encoding) if len(encoding.targets) > 1 else "", {})
    return one.get("R²", float("nan"))


def labelled(name: str, found: Figures) -> Figures:
    """The figures of one set, keyed by the name of their line in the table: "test", or "test, price" and so on."""
    return {", ".join(part for part in (name, of) if part): values for of, values in found.items()}


def _of_values(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    error, spread = found - truth, truth - truth.mean()
    scale = float((spread**2).sum())
    r2 = 1 - float((error**2).sum()) / scale if scale else float("nan")
    return {"R²": r2, "RMSE": float(np.sqrt((error**2).mean())), "MAE": float(np.abs(error).mean())}


def predictions(model: Any, x: Any) -> tuple[Any, Any]:
    """(predictions, probabilities or None) of a network on encoded rows; classes as indices."""
    if model.encoding.classes is None:
        return model.predict(x), None
    probabilities = np.asarray(model.backend.to_numpy(model.predict_proba(x)))
    return probabilities.argmax(axis=1), probabilities


def baselines(encoding: TableEncoding, sets: Sets, at: str) -> tuple[dict[str, Figures], str]:
    """({name: figures} of the baselines on the set `at`, why one is missing or "").

    Baselines are fitted to the training and the validation rows, which the network's training uses too.
    """
    training_sets = [sets[name] for name in ("training", "validation") if name in sets and name != at] or [
        sets["training"]
    ]
    y = np.concatenate([np.asarray(own) for _, own in training_sets])
    goal = np.asarray(sets[at][1])
    found: dict[str, Figures] = {}
    if encoding.classes is None:
        mean = np.broadcast_to(y.mean(axis=0), goal.shape)
        found["mean"] = figures(encoding, goal, encoding.decode(mean))
    else:
        shares = np.bincount(y.astype(np.intp, copy=False), minlength=len(encoding.classes)) / len(y)
        same = np.broadcast_to(shares, (len(goal), len(shares)))
        found["majority"] = figures(encoding, goal, np.full(len(goal), np.argmax(shares)), same)
    width = encoding.width + sum(one.vocabulary for one in encoding.coded)
    if width > BASELINE_WIDTH:
        return found, f"no linear baseline: {width:,} encoded columns are more than {BASELINE_WIDTH:,}"
    try:
        name, fitted = _linear(encoding, *_sampled(encoding, [x for x, _ in training_sets], y))
    except ImportError:
        return found, 'no linear baseline: it needs scikit-learn, pip install "arraynn[sklearn]"'
    x = sets[at][0]
    blocks = (one_hot(encoding, take_rows(x, slice(i, i + BLOCK))) for i in range(0, len(goal), BLOCK))
    if encoding.classes is None:
        values = np.concatenate([fitted.predict(block) for block in blocks])
        found[name] = figures(encoding, goal, encoding.decode(values))
    else:
        probabilities = np.zeros((len(goal), len(encoding.classes)))
        probabilities[:, fitted.classes_] = np.concatenate([fitted.predict_proba(block) for block in blocks])
        found[name] = figures(encoding, goal, probabilities.argmax(axis=1), probabilities)
    return found, ""


def _sampled(encoding: TableEncoding, inputs: list[Any], y: Any) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of at most BASELINE_ROWS evenly spaced rows of all inputs together, with codes one-hot."""
    rows = np.arange(len(y)) if len(y) <= BASELINE_ROWS else np.linspace(0, len(y) - 1, BASELINE_ROWS).astype(int)
    parts, start = [], 0
    for x in inputs:
        count = len(x[0] if isinstance(x, tuple) else x)
        own = rows[(rows >= start) & (rows < start + count)] - start
        parts.append(one_hot(encoding, take_rows(x, own)))
        start += count
    return np.concatenate(parts), y[rows]


def _linear(encoding: TableEncoding, x: Any, y: Any) -> tuple[str, Any]:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    if encoding.classes is None:
        return "ridge", RidgeCV(np.logspace(-3, 3, 13)).fit(x, y)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not converged is good enough for a comparison
        return "logistic", LogisticRegression(max_iter=1000).fit(x, y)


def one_hot(encoding: TableEncoding, x: Any) -> np.ndarray:
    """x as one array, with codes one-hot."""
    if not isinstance(x, tuple):
        return np.asarray(x)
    parts = [np.asarray(x[0])]
    for one, codes in zip(encoding.coded, x[1:], strict=True):
        parts.append((np.asarray(codes)[:, None] == np.arange(one.vocabulary)).astype(np.float32))
    return np.concatenate(parts, axis=1)


def importance(model: Any, x: Any, y: Any, seed: int) -> dict[str, tuple[float, float]]:
    """Permutation importance: {column: (mean, standard deviation)} of the loss in `score` when the column is shuffled.

    On at most ROWS rows, TURNS times. Breiman, Machine Learning 45, 2001, section 10, on held-out rows. Of two columns
    with the same content, each has a small importance, though both matter.
    """
    rng = np.random.default_rng([seed, 7])
    encoding, count = model.encoding, len(y)
    rows = np.sort(rng.choice(count, min(count, ROWS), replace=False))
    x, y = take_rows(x, rows), np.asarray(y)[rows]
    unshuffled, at, code = score(encoding, y, predictions(model, x)[0]), 0, 1
    found: dict[str, tuple[float, float]] = {}
    shuffled: Any
    for one in encoding.used:
        losses = []
        for _ in range(SHUFFLES):
            order = rng.permutation(len(y))
            if one.code:
                shuffled = (*x[:code], x[code][order], *x[code + 1 :])
            else:
                part = np.array(x[0] if isinstance(x, tuple) else x)
                part[:, at : at + one.width] = part[order, at : at + one.width]
                shuffled = (part, *x[1:]) if isinstance(x, tuple) else part
            losses.append(unshuffled - score(encoding, y, predictions(model, shuffled)[0]))
        found[one.name] = float(np.mean(losses)), float(np.std(losses))
        at, code = at + one.width, code + one.code
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def confusion(y: Any, prediction: Any, classes: int) -> np.ndarray:
    """(K, K) counts: rows are the true classes, columns the predicted ones."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (np.asarray(y), np.asarray(prediction)), 1)
    return table


def per_class(table: np.ndarray) -> list[tuple[float, float, int]]:
    """(precision, recall, rows) of each class; precision is nan without predicted rows, recall without true ones."""
    with np.errstate(invalid="ignore", divide="ignore"):
        hits = np.diag(table)
        precision, recall = hits / table.sum(axis=0), hits / table.sum(axis=1)
    return [(float(p), float(r), int(n)) for p, r, n in zip(precision, recall, table.sum(axis=1), strict=True)]
