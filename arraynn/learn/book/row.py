"""What one of the book's runs is: its settings, and the figures known of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """What a run prints. None where it is not known."""

    accuracy: float | None = None
    loss: float | None = None
    data_loss: float | None = None
    penalty: float | None = None
    val_accuracy: float | None = None
    val_loss: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Row:
    """One run.

    name : what the command line calls it. title : what the table says.
    data : "spiral" (three arms), "binary" (two), "sine" or "fashion". samples : points of a class, or of the sine.
    hidden : neurons. std : of the first weights. l2 : on the weights and biases of the first layer. dropout : its rate.
    rule : "sgd", "adagrad", "rmsprop" or "adam"; options : its other arguments. decay : of the learning rate.
    epochs : the last one, counted from 0, so one more is trained; with a batch size, how many are.
    book : what the book prints at the end. today_100, today : what its code prints now, at epoch 100 and at the end
        (NumPy 2.4, x86-64). transcribed : today's figures come from its arithmetic written down again, not from its
        own code. That transcription gives each figure of the other rows to the printed digits.
    rounding : why the book's stream is not the book's to the last bit. note : why figures lie apart.
    seconds : a run from a seed takes about so long on one core.
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
        """Whether the book measures it on fresh data too."""
        return self.book.val_accuracy is not None
