"""What workers that train together must have alike, compared before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..distributed import Team, digest
from ..io.model_file import own_version
from .dataset import Rows


class Alike:
    """Gathers, by name, what is compared."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.facts: dict[str, str] = {}
        self.wanted = True

    def of(self, batches: Any, validation: Any, metrics: Any, plan: dict[str, Any]) -> None:
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
            "weights": digest([model.params, model.state["slots"]]),
            **{f"a value of {name}": repr(value) for name, value in plan.items()},
        }
        for name, rows in (("training data", batches), ("validation data", validation)):
            if isinstance(rows, Rows):
                self.facts[name] = digest([rows.x, rows.targets, rows.weight])


@contextmanager
def prepared_alike(team: Team | None, model: Any) -> Iterator[Alike]:
    """Where what stands within fails on one worker, all raise; so they do where the facts that are noted differ."""
    alike = Alike(model)
    if team is None:
        alike.wanted = False
        yield alike
        return
    with team.group.together():
        yield alike
    team.group.agreed(alike.facts)
