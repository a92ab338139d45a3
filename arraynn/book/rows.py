"""The book's runs as data: what was set, what the book prints, what its code prints today."""

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


_MASKS = "behind its float64 masks the book's code goes on in float64, arraynn in float32"
_DATA = "the book's sine is of float64, and so is much behind it; arraynn's is of float32"

ROWS = (
    Row(
        "sgd",
        "SGD lr 1",
        book=Figures(0.633, 0.848, learning_rate=1.0),
        today_100=Figures(0.400, 1.087),
        today=Figures(0.647, 0.874),
        note="at a rate of 1 the loss leaps from epoch to epoch; on other points it ends anywhere from .5 to 1.8",
    ),
    Row(
        "sgd-0.85",
        "SGD lr .85",
        learning_rate=0.85,
        book=Figures(0.657, 0.816, learning_rate=0.85),
        today_100=Figures(0.403, 1.091),
        today=Figures(0.603, 0.942),
        transcribed=True,
    ),
    Row(
        "sgd-decay-1e-2",
        "SGD lr 1, decay 1e-2",
        decay=1e-2,
        book=Figures(0.397, 1.072, learning_rate=0.009901970492127933),
        today_100=Figures(0.403, 1.095),
        today=Figures(0.397, 1.072),
    ),
    Row(
        "sgd-decay-1e-3",
        "SGD lr 1, decay 1e-3",
        decay=1e-3,
        book=Figures(0.667, 0.771, learning_rate=0.09091735612328393),
        today_100=Figures(0.400, 1.088),
        today=Figures(0.647, 0.761),
    ),
    Row(
        "momentum-0.5",
        "SGD lr 1, decay 1e-3, momentum .5",
        decay=1e-3,
        options=(("momentum", 0.5),),
        book=Figures(0.800, 0.539, learning_rate=0.09091735612328393),
        today_100=Figures(0.427, 1.078),
        today=Figures(0.780, 0.553),
    ),
    Row(
        "momentum-0.9",
        "SGD lr 1, decay 1e-3, momentum .9",
        decay=1e-3,
        options=(("momentum", 0.9),),
        book=Figures(0.933, 0.173, learning_rate=0.09091735612328393),
        today_100=Figures(0.443, 1.053),
        today=Figures(0.957, 0.121),
    ),
    Row(
        "adagrad",
        "Adagrad lr 1, decay 1e-4",
        "adagrad",
        decay=1e-4,
        book=Figures(0.847, 0.379, learning_rate=0.5000250012500626),
        today_100=Figures(0.453, 1.011),
        today=Figures(0.840, 0.385),
    ),
    Row(
        "rmsprop-0.001",
        "RMSProp lr .001, decay 1e-4, ρ .9",
        "rmsprop",
        0.001,
        decay=1e-4,
        options=(("rho", 0.9),),
        book=Figures(0.730, 0.668, learning_rate=0.0005000250012500625),
        today_100=Figures(0.437, 1.077),
        today=Figures(0.730, 0.666),
        transcribed=True,
    ),
    Row(
        "rmsprop-0.02",
        "RMSProp lr .02, decay 1e-5, ρ .999",
        "rmsprop",
        0.02,
        decay=1e-5,
        options=(("rho", 0.999),),
        book=Figures(0.910, 0.221, learning_rate=0.018181983472577025),
        today_100=Figures(0.467, 1.013),
        today=Figures(0.900, 0.238),
    ),
    Row(
        "adam-0.02",
        "Adam lr .02, decay 1e-5",
        "adam",
        0.02,
        decay=1e-5,
        book=Figures(0.963, 0.079, learning_rate=0.018181983472577025),
        today_100=Figures(0.673, 0.769),
        today=Figures(0.967, 0.081),
        note="its points are easier than most: with other weights they end at .09 to .11, other points at .18 to .27",
    ),
    Row(
        "adam-0.05",
        "Adam lr .05, decay 5e-7",
        "adam",
        0.05,
        decay=5e-7,
        book=Figures(0.983, 0.074, None, None, 0.803, 0.858, 0.04975126853296942),
        today_100=Figures(0.670, 0.705),
        today=Figures(0.967, 0.074),
    ),
    Row(
        "l2",
        "L2 5e-4 on weights and biases, Adam lr .02, decay 5e-7",
        "adam",
        0.02,
        decay=5e-7,
        l2=5e-4,
        book=Figures(0.947, 0.217, 0.157, 0.060, 0.830, 0.435, 0.019900507413187767),
        today_100=Figures(0.690, 0.845),
        today=Figures(0.950, 0.226, val_accuracy=0.840, val_loss=0.525),
    ),
    Row(
        "l2-1000",
        "… 1000 points a class",
        "adam",
        0.02,
        decay=5e-7,
        samples=1000,
        l2=5e-4,
        book=Figures(0.895, 0.357, val_accuracy=0.873, val_loss=0.332),
        today_100=Figures(0.576, 0.924),
        today=Figures(0.906, 0.331, 0.273, 0.058, 0.880, 0.339),
        transcribed=True,
        seconds=13,
    ),
    Row(
        "l2-1000-256",
        "… 1000 points a class, 256 neurons",
        "adam",
        0.02,
        decay=5e-7,
        samples=1000,
        hidden=(256,),
        l2=5e-4,
        book=Figures(0.920, 0.261, val_accuracy=0.893, val_loss=0.332),
        today_100=Figures(0.725, 0.780),
        today=Figures(0.918, 0.249, 0.210, 0.039, 0.890, 0.334),
        transcribed=True,
        seconds=33,
        note="its 300 validation points are harder than most: in its own stream arraynn has .890, .334 on them",
    ),
    Row(
        "l2-1000-512",
        "… 1000 points a class, 512 neurons",
        "adam",
        0.02,
        decay=5e-7,
        samples=1000,
        hidden=(512,),
        l2=5e-4,
        book=Figures(0.918, 0.253, val_accuracy=0.920, val_loss=0.256),
        today_100=Figures(0.746, 0.721),
        today=Figures(0.919, 0.263, 0.213, 0.050, 0.927, 0.276),
        transcribed=True,
        seconds=55,
    ),
    Row(
        "dropout",
        "1000 points a class, L2, dropout .1, Adam lr .05, decay 5e-5",
        "adam",
        0.05,
        decay=5e-5,
        samples=1000,
        l2=5e-4,
        dropout=0.1,
        book=Figures(0.688, 0.727, 0.711, 0.016, 0.757, 0.712, 0.03333444448148271),
        today_100=Figures(0.564, 0.917),
        today=Figures(0.694, 0.703, 0.686, 0.017, 0.740, 0.671),
        transcribed=True,
        seconds=17,
        rounding=_MASKS,
    ),
    Row(
        "dropout-512",
        "… 512 neurons",
        "adam",
        0.05,
        decay=5e-5,
        samples=1000,
        hidden=(512,),
        l2=5e-4,
        dropout=0.1,
        book=Figures(0.859, 0.468, val_accuracy=0.857, val_loss=0.397, learning_rate=0.03333444448148271),
        today_100=Figures(0.715, 0.733),
        today=Figures(0.849, 0.476, 0.427, 0.050, 0.857, 0.399),
        transcribed=True,
        seconds=100,
        rounding=_MASKS,
    ),
    Row(
        "binary",
        "two arms, 2-64-1, sigmoid, L2 5e-4, Adam lr .001, decay 5e-7",
        "adam",
        0.001,
        decay=5e-7,
        data="binary",
        l2=5e-4,
        book=Figures(0.965, 0.219, None, None, 0.945, 0.207, 0.0009950253706593885),
        today_100=Figures(0.630, 0.674),
        today=Figures(0.945, 0.260, 0.204, 0.056, 0.920, 0.237),
        transcribed=True,
        rounding="sigmoid and its loss are the library's, which round otherwise",
    ),
    Row(
        "sine",
        "sine, 1-64-1, squared error, Adam lr .001",
        "adam",
        0.001,
        data="sine",
        samples=1000,
        book=Figures(0.004, 0.145, learning_rate=0.001),
        today_100=Figures(0.003, 0.346),
        today=Figures(0.004, 0.145),
        transcribed=True,
        seconds=6,
        rounding=_DATA,
    ),
    Row(
        "sine-64",
        "sine, 1-64-64-1, Adam lr .001",
        "adam",
        0.001,
        data="sine",
        samples=1000,
        hidden=(64, 64),
        book=Figures(0.620, 0.031, learning_rate=0.001),
        today_100=Figures(0.003, 0.187),
        today=Figures(0.620, 0.031),
        transcribed=True,
        seconds=9,
        rounding=_DATA,
    ),
    Row(
        "sine-64-0.1",
        "sine, 1-64-64-1, weights .1·randn, Adam lr .005, decay 1e-3",
        "adam",
        0.005,
        decay=1e-3,
        data="sine",
        samples=1000,
        hidden=(64, 64),
        std=0.1,
        book=Figures(0.981, 0.000, learning_rate=0.00045458678061641964),
        today_100=Figures(0.017, 0.048),
        today=Figures(0.981, 0.000),
        seconds=9,
        rounding=_DATA,
    ),
    Row(
        "fashion-64",
        "Fashion-MNIST, 784-64-64-10, Adam lr .001, decay 5e-5",
        "adam",
        0.001,
        decay=5e-5,
        data="fashion",
        hidden=(64, 64),
        epochs=5,
        batch_size=128,
        book=Figures(0.869, 0.357, val_accuracy=0.860, val_loss=0.389),
        seconds=20,
    ),
    Row(
        "fashion-128",
        "Fashion-MNIST, 784-128-128-10, Adam lr .001, decay 1e-3",
        "adam",
        0.001,
        decay=1e-3,
        data="fashion",
        hidden=(128, 128),
        epochs=10,
        batch_size=128,
        book=Figures(0.894, 0.291, None, None, 0.874, 0.354, 0.00017577781683951485),
        seconds=60,
    ),
)
