"""What TensorBoard shows of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..training.callbacks import Callback
from ._need import need


class TensorBoard(Callback):
    """Write each epoch's logs as scalars into `folder`, for `tensorboard --logdir folder`; one run a folder.

    Epochs without a number (validation_freq) leave a gap. Raises ImportError without the extra tensorboard.
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
        self.writer.close()  # and again, with what lies beyond the checkpoint taken out of the picture
        self.open(model, purge_step=done.stop)

    def open(self, model: Any, **options: Any) -> None:
        """Begin a file. Its name has the second, which two fits may share, so it gets the step too."""
        writer = need("tensorboardX", "tensorboard").SummaryWriter
        self.writer = writer(str(self.folder), filename_suffix=f".{model.step}", **options)

    def on_epoch_end(self, model: Any, epoch: int, logs: Mapping[str, float]) -> bool | None:
        for name, value in logs.items():
            if math.isfinite(value):
                side, _, rest = name.partition("val_")  # loss and val_loss in one picture's place
                self.writer.add_scalar(f"{rest}/validation" if not side else f"{name}/training", value, epoch)
        return None

    def on_fit_end(self, model: Any) -> None:
        self.writer.close()
        self.writer = None  # its threads cannot be copied, and who holds this callback may be
