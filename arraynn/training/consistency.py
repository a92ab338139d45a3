"""Checks before the first step that all workers have the same data, weights, options and versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import tree
from ..distributed import Team, digest
from ..io.model_file import own_version
from .dataset import ArrayDataset
from .sharded_array import ShardedArray


class WorkerFacts:
    """What is compared between workers, by name."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.facts: dict[str, str] = {}
        self.wanted = True

    def note(self, batches: Any, validation: Any, metrics: Any, plan: dict[str, Any]) -> None:
        """Note a fit on these batches, with these validation rows, metrics and options."""
        if not self.wanted:
            return
        model = self.model
        self.facts = {
            "a version of arraynn": own_version(),
            "a version of NumPy": np.__version__,
            "a backend": model.backend.name,
            "a network, loss, optimizer or metrics": repr((model.network, model.loss, model.optimizer, metrics)),
            "clipping": repr((model.clip_norm, model.clip_value)),
            "a seed": repr(model.seed),
            "a place to go on from": repr((model.epoch, model.step)),
            **{f"a value of {name}": repr(value) for name, value in plan.items()},
        }
        for name, rows in (("training data", batches), ("validation data", validation)):
            if isinstance(rows, ArrayDataset):
                x = [leaf for leaf in tree.leaves(rows.x) if not isinstance(leaf, ShardedArray)]
                self.facts[name] = digest([x, rows.targets, rows.weight])
        self.facts["weights"] = digest([model.params, model.state["slots"]])


def same_call(team: Team | None, values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise WorkerError on all workers unless they have called `fit` alike, so that they make the same exchanges.

    values : arguments that must be equal, by name. given : those that all workers give, or none of them.
    """
    if team is not None:
        facts = {f"a value of {name}": repr(value) for name, value in values.items()}
        facts |= {name: "None" if value is None else "given" for name, value in given.items()}
        team.group.agreed(facts)


@contextmanager
def consistent_workers(team: Team | None, model: Any) -> Iterator[WorkerFacts]:
    """Context in which an error on one worker is raised on all; at its end all raise where their facts differ."""
    facts = WorkerFacts(model)
    if team is None:
        facts.wanted = False
        yield facts
        return
    with team.group.together():
        yield facts
    team.group.agreed(facts.facts)
