"""`Row`: the settings of one of the book's runs, and its known figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """The figures that a run prints, None where unknown."""

    accuracy: float | None = None
    loss: float | None = None
    data_loss: float | None = None
    penalty: float | None = None
    val_accuracy: float | None = None
    val_loss: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Row:
    """One of the book's runs: its settings and its figures.

    name : its name on the command line. title : its title in the table.
    data : "spiral" (three arms), "binary" (two arms), "sine" or "fashion". samples : points per class, or of the sine.
    hidden : units of each hidden layer. std : standard deviation of the initial weights. l2 : factor of the penalty on
        the weights and biases of the first layer. dropout : its rate.
    rule : "sgd", "adagrad", "rmsprop" or "adam". options : other arguments of the optimizer. decay : of the learning
        rate.
    epochs : without a batch size, the last epoch, counted from 0, so one more is trained; with one, the number of
        epochs.
    book : the figures that the book prints at the end. today_100, today : the figures that the book's code prints now,
        at epoch 100 and at the end (NumPy 2.4, x86-64). transcribed : today's figures come from a transcription of the
        book's arithmetic, not from its own code. For the other rows, the transcription gives the printed digits.
    rounding : why a run in the book's stream may differ from the book's code in the last bit. note : why the figures
        of the book and of arraynn differ.
    seconds : about how long a run from a seed takes on one core.
    """

    name: str
    title: str
    rule: str = "sgd"
    learning_rate: float = 1.0
    decay: float = 0.0
    options: tuple[tuple[str, float], ...] = ()
    data: str = "spiral"
    samples: int = 100
    hidden: tuple[int, ...] = (64,)
    std: float = 0.01
    l2: float = 0.0
    dropout: float = 0.0
    epochs: int = 10_000
    batch_size: int | None = None
    book: Figures = Figures()
    today_100: Figures = Figures()
    today: Figures = Figures()
    transcribed: bool = False
    rounding: str = ""
    note: str = ""
    seconds: float = 4.0

    @property
    def validated(self) -> bool:
        """Whether the book evaluates the run on validation data too."""
        return self.book.val_accuracy is not None
