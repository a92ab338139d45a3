"""L-BFGS through SciPy: few and small data, smooth losses, and an answer to many digits.

It is no rule for one array and a step: it looks along lines at the whole loss, so it stands beside the optimizers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from .._coupling import batch_coupled
from .._types import LayerLike, Nest
from ..backends import for_type, of
from ..losses import as_loss
from ..random import Key
from .step import Batch


def minimize_lbfgs(
    network: LayerLike,
    loss: Any,
    params: Nest,
    batch: Batch,
    *,
    key: Key | None = None,
    max_iterations: int = 200,
    memory: int = 10,
    gradient_tolerance: float = 1e-5,
    loss_tolerance: float = 1e-9,
    max_evaluations: int = 15_000,
    callback: Callable[[Nest], Any] | None = None,
) -> tuple[Nest, Any]:
    """(params, result): the parameters at which the loss on this batch, penalty included, is least nearby.

    network : a layer. loss : a loss block or a Loss. params : where to start; not consumed.
    batch : (x, targets, sample_weight or None), all of the data: L-BFGS cannot do with samples of them.
    key : None evaluates the network as in inference (no dropout; BatchNorm by its running statistics, which stay).
        A Key trains it, with the same masks each time, so that there is one function to minimize.
    max_iterations : at least 1. memory : how many steps the curvature is estimated from.
    gradient_tolerance : it stops where no |dLoss/dw| is larger. loss_tolerance : and where a step lowers the loss by
        less than this part of it. max_evaluations : of loss and gradient, at least 1; an iteration takes one or more.
    callback : called with the parameters after each iteration; where it returns True, the search ends there.
    result : SciPy's, with fun (the loss), nit (iterations), nfev (evaluations), success and message.

    The gradient is taken on the device where params are, the vectors of the search on the host in float64. With float32
    parameters the loss is only known to 1e-7, and the search may end there, with success False; float64 goes further.
    Raises ImportError, with what to install, where SciPy is missing.

    Liu and Nocedal, Mathematical Programming 45, 1989; SciPy's is Byrd, Lu, Nocedal and Zhu's L-BFGS-B, 1995.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise ImportError(f'minimize_lbfgs needs SciPy ({error}): pip install "arraynn[scipy]"') from None
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations!r}")
    loss = as_loss(loss)
    form = tree.trained(params)
    leaves = tree.leaves(form)
    if not leaves:
        raise ValueError("the network has no parameters to train")
    engine, home = for_type(type(leaves[0])), of(leaves[0])

    def gradient(params: Nest, rows: Batch, key: Any, total: Any) -> tuple[dict[str, Any], Nest]:
        x, targets, weight = rows
        outputs, backward = network(params, x, key)
        value, loss_backward = loss(outputs, targets, sample_weight=weight, total=total)
        return {"loss": value}, backward(loss_backward(), need_dx=False)[1]

    def evaluate(params: Nest, batch: Batch) -> tuple[Any, Nest]:
        total = loss.total(batch[1], batch[2])
        plan = engine.plan(params, batch, batch_coupled(network) or batch_coupled(loss))
        sums, grads = engine.accumulate(gradient, params, batch, key, total, plan)
        penalty, penalty_backward = network.penalty(params)
        return sums["loss"] + penalty, tree.add(grads, penalty_backward())

    compiled = engine.compile(evaluate)

    def nest_of(vector: np.ndarray) -> Nest:
        """The parameters that a vector of the search stands for: each leaf in its dtype, on its device."""
        ends = np.cumsum([np.prod(leaf.shape, dtype=int) for leaf in leaves])
        parts = iter(np.split(vector, ends[:-1]))
        made = tree.map(lambda leaf: home.asarray(next(parts).reshape(leaf.shape), leaf.dtype, copy=True), form)
        return tree.with_statistics(made, params)

    def vector_of(nest: Nest) -> np.ndarray:
        """The numbers of a nest in the order of params: a compiled step may hand dicts back in another."""
        ordered = tree.map(lambda _, x: np.ravel(home.to_numpy(x)).astype(np.float64), form, tree.trained(nest))
        return np.concatenate(tree.leaves(ordered))

    def function(vector: np.ndarray) -> tuple[float, np.ndarray]:
        with home.context():
            value, grads = compiled(nest_of(vector), batch)
        return float(value), vector_of(grads)

    def notify(vector: np.ndarray) -> None:
        if callback is not None and callback(nest_of(vector)) is True:
            raise StopIteration  # how SciPy is asked to stop

    options = {"maxiter": max_iterations, "maxcor": memory, "gtol": gradient_tolerance, "ftol": loss_tolerance}
    options["maxfun"] = max_evaluations
    start, after = vector_of(params), None if callback is None else notify
    result = minimize(function, start, jac=True, method="L-BFGS-B", options=options, callback=after)
    found = nest_of(result.x)
    if key is not None:  # statistics as the last weights leave them
        with home.context():
            found = tree.with_statistics(tree.trained(found), compiled(found, batch)[1])
    return found, result
