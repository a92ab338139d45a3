"""The solver 'lbfgs': SciPy's minimizer on all data at once, with loss and gradient computed on the device of X."""

from __future__ import annotations

from typing import Any

from sklearn.utils.optimize import _check_optimize_result

from .. import tree
from ..random import Key
from ..training.lbfgs import minimize_lbfgs
from ._clipped import exact
from ._network import to_attributes
from ._objective import PerSample, WithWeights
from ._stochastic import _may_draw, penalty_of

LOSS_TOLERANCE = 2.220446049250313e-09  #: SciPy's default, which scikit-learn uses


def fit_lbfgs(est: Any, task: Any) -> None:
    """Fit est on the task. It gets the attributes that scikit-learn's has after lbfgs."""
    if est.callbacks:
        raise ValueError(
            "callbacks are called after epochs, and solver='lbfgs' has none; use another solver, or set_callbacks"
        )
    network, penalty = WithWeights(est.network_), penalty_of(est)
    # L-BFGS needs a value that fits the gradient; scikit-learn's value does not where it clips or takes a mean
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
        """Call the callbacks after an iteration. Returns whether one asks to stop."""
        sub = root.subcontext(task_name="lbfgs-iter")
        sub.call_on_fit_task_begin(estimator=est, **shown)
        return bool(
            sub.call_on_fit_task_end(
                estimator=est,
                **shown,
                reconstruction_attributes=lambda: to_attributes(est.network_, _copied_to(params, task.home)),
            )
        )

    key = Key(int(est._random_state.randint(2**31 - 1))) if _may_draw(est.network_) else None
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
            callback=notify
            if root is not None and hasattr(est, "_skl_callbacks")
            else None,  # costs a copy for each iteration
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
            reconstruction_attributes=lambda: to_attributes(est.network_, _copied_to(params, task.home)),
        )


def _copied_to(params: Any, where: Any) -> Any:
    return tree.map(lambda leaf: where.asarray(leaf, copy=True), params)
