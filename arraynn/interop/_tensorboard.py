"""`TensorBoard`: a callback that writes a run's logs for TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..training.callbacks import Callback
from ._need import need


class TensorBoard(Callback):
    """Write each epoch's logs as scalars into `folder`, for `tensorboard --logdir folder`. Use one folder for each run.

    An epoch without a value (validation_freq) is a gap. Raises ImportError without the extra tensorboard.
    """

    every_epoch = False
    first_worker_only = True

    def __init__(self, folder: str | Path) -> None:
        need("tensorboardX", "tensorboard")
        self.folder = Path(folder)
        self.writer: Any = None

    def on_fit_begin(self, model: Any) -> None:
        self.open(model)

    def on_resume(self, model: Any, done: range, notes: Mapping[str, Any]) -> None:
        self.writer.close()  # reopened so that TensorBoard hides epochs written after the checkpoint
        self.open(model, purge_step=done.stop)

    def open(self, model: Any, **options: Any) -> None:
        """Open a new file. Its name has the time in seconds, which two fits may share, so the step is added."""
        writer = need("tensorboardX", "tensorboard").SummaryWriter
        self.writer = writer(str(self.folder), filename_suffix=f".{model.step}", **options)

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        for name, value in logs.items():
            if math.isfinite(value):
                side, _, rest = name.partition("val_")  # groups loss and val_loss under one heading
                self.writer.add_scalar(f"{rest}/validation" if not side else f"{name}/training", value, epoch)
        return None

    def on_fit_end(self, model: Any) -> None:
        self.writer.close()
        self.writer = None  # a writer has threads, so an object that holds it cannot be copied
