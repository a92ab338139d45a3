"""The data side of a Model: inputs are checked and cast, and predictions return to the library and device of x."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._types import Array, Nest
from ..encoding import TableEncoding, is_table, rows_of_table
from ..losses import Loss
from ..metrics import Metric
from .batch_iterable import BatchIterable, restartable
from .columns import column_names, not_a_list_of_inputs, same_columns
from .dataset import InputSpec, unpack
from .inference import infer
from .labels import check_outputs
from .state import ModelState
from .validation import as_inputs, count_rows, enough_rows


def first_layer(network: Any) -> tuple[str, str]:
    """Class and path of the layer that takes x, for errors."""
    first = (getattr(network, "layers", ()) or (network,))[0]
    return type(first).__name__, "network" if first is network else "layers.0"


class ModelInputs(ModelState):
    """A ModelState with a loss, metrics, labels and an encoding, against which data are checked."""

    loss: Loss
    metrics: tuple[Metric, ...]
    classes: tuple[Any, ...] | None
    encoding: TableEncoding | None

    def check_labels(self) -> None:
        """Raise ShapeError unless the network has an output for each label, where there are labels."""
        check_outputs(self.classes, self.loss, self.output_shape)

    def _check_metrics(self) -> None:
        """Raise ShapeError where a metric, or labels, make nothing of the network's outputs."""
        self.check_labels()
        for metric in self.metrics:
            metric.check(self.output_shape)

    def _inputs(self, x: Any, y: Any = None) -> Nest:
        """x as arrays, of the columns that the model knows. y : the targets, an array, where there are any."""
        not_a_list_of_inputs(x, self.input_shape, y)
        same_columns(self.columns, column_names(x))
        return as_inputs(x)

    def _input_spec(self, partial: bool = False, columns: Any = None) -> InputSpec:
        return InputSpec(
            self.backend,
            self.dtype,
            self.loss,
            self.input_shape,
            self.output_shape,
            first=first_layer(self.network),
            integer_input=self.integer_input,
            vocabulary=self.vocabulary,
            longest=self.longest,
            columns=columns or self.columns,
            partial=partial,
            classes=self.classes,
            encoding=self.encoding,
        )

    def _batch_iterable(
        self, batches: Any, epochs: int, sample_weight: Any, class_weight: Any
    ) -> tuple[BatchIterable, Array, Array | None]:
        first, again = restartable(batches, epochs, sample_weight, class_weight)
        x, y, _ = unpack("an iterable", first)
        x, y = rows_of_table(self.encoding, x, y)
        inputs = self._inputs(x, self._input_spec().numbers(y))
        self._ready(inputs)
        enough_rows(self.network, count_rows(inputs))
        stream = BatchIterable(self._input_spec(partial=True, columns=column_names(x)), again, class_weight)
        rows = stream.rows(first, 0)
        return stream, rows.targets, rows.weight

    def _infer(self, x: Any, function: Callable[[Nest], Nest]) -> Nest:
        with self._unless_refused():
            x = self._inputs(self.encoding.encode(x) if self.encoding and is_table(x) else x)
            self._ready(x)
            return infer(self, self._input_spec(), x, function)
