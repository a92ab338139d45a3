"""The solver 'lbfgs': the whole of the data at once, through SciPy, with loss and gradient where X lives."""

from __future__ import annotations

from typing import Any

from sklearn.utils.optimize import _check_optimize_result

from .. import tree
from ..random import Key
from ..training.lbfgs import minimize_lbfgs
from ._clipped import exact
from ._network import to_attributes
from ._objective import PerSample, WithWeights
from ._stochastic import _draws, penalty_of

LOSS_TOLERANCE = 2.220446049250313e-09  #: SciPy's own default, which scikit-learn leaves alone


def fit_lbfgs(est: Any, task: Any) -> None:
    """Fit est on the task; its attributes are those of scikit-learn after lbfgs."""
    if est.callbacks:
        raise ValueError(
            "callbacks are called after epochs, and solver='lbfgs' has none; take another solver, or set_callbacks"
        )
    network, penalty = WithWeights(est.network_), penalty_of(est)
    # what is minimized must be what is differentiated: scikit-learn's own value differs where it clips or takes a mean
    loss, consistent = est._loss, exact(est._loss)
    batch = task.x, task.targets, task.weight
    root: Any = None
    shown = {"X": task.shown[0], "y": task.shown[1], "metadata": None}
    if task.shown[2] is not None:
        shown["metadata"] = {"sample_weight": task.shown[2]}
    if hasattr(est, "_init_callback_context"):
        root = est._init_callback_context(max_subtasks=None)
        root.call_on_fit_task_begin(estimator=est, **shown)

    def notify(params: Any) -> bool:
        """After each iteration; returns whether someone asks to stop."""
        sub = root.subcontext(task_name="lbfgs-iter")
        sub.call_on_fit_task_begin(estimator=est, **shown)
        return bool(
            sub.call_on_fit_task_end(
                estimator=est,
                **shown,
                reconstruction_attributes=lambda: to_attributes(est.network_, _at(params, task.home)),
            )
        )

    key = Key(int(est._random_state.randint(2**31 - 1))) if _draws(est.network_) else None
    params = est._params(task.engine, task.dtype)
    with task.engine.context():
        params, result = minimize_lbfgs(
            network,
            PerSample(consistent, penalty),
            params,
            batch,
            key=key,
            max_iterations=est.max_iter,
            max_evaluations=est.max_fun,
            gradient_tolerance=est.tol,
            loss_tolerance=LOSS_TOLERANCE,
            callback=notify if root is not None and hasattr(est, "_skl_callbacks") else None,  # a copy an iteration
        )
        est.n_iter_ = _check_optimize_result("lbfgs", result, est.max_iter)
        est.loss_ = float(result.fun)
        if consistent != loss:
            outputs, _ = network(params, task.x, key)
            value, _ = PerSample(loss, penalty)(outputs, task.targets, sample_weight=task.weight)
            est.loss_ = task.engine.fetch([value])[0]
    est._hold(params, task.home)
    if root is not None:
        root.call_on_fit_task_end(
            estimator=est,
            **shown,
            reconstruction_attributes=lambda: to_attributes(est.network_, _at(params, task.home)),
        )


def _at(params: Any, where: Any) -> Any:
    return tree.map(lambda leaf: where.asarray(leaf, copy=True), params)
