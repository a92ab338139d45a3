"""What habits from Keras, PyTorch, scikit-learn and the book lead people to type: each is answered in one line that
gives the working form."""

import numpy as np
import pytest

import arraynn as nn
from arraynn.cli import main

X = np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "float32")
Y = np.asarray([0, 1, 2])
IMAGES = np.ones((3, 4, 5, 1), "float32")
NETWORK = nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dropout(0.5), nn.Dense(3))
PARAMS, _ = NETWORK.init(np.random.default_rng(0), (2,))


def model(**options):
    return nn.Model(NETWORK, backend="numpy", **options)


class OwnCallback(nn.Callback):
    """A callback of a user's own, with an argument."""

    def __init__(self, every):
        self.every = every


def fitted(x=X, *first):
    """A model that has seen x."""
    made = nn.Model(nn.Sequential(*first, nn.Dense(3)), backend="numpy")
    made.fit(x, Y, verbose=0)
    return made


def stepped(batch, key, loss="softmax_cross_entropy"):
    optimizer = nn.SGD(0.1)
    params = nn.tree.copy(PARAMS)
    return nn.make_train_step(NETWORK, loss, optimizer)(params, optimizer.init(params), batch, key)


#: what is typed : (the error, the words of the answer that give the working form)
PYTHON = {
    "Dense(64, activation='relu')": (lambda: nn.Dense(64, activation="relu"), TypeError, "nn.Dense(64), nn.ReLU()"),
    "Dense(64, activation='swish')": (lambda: nn.Dense(64, activation="swish"), TypeError, "nn.Dense(64), nn.SiLU()"),
    "Dense(64, 'relu')": (lambda: nn.Dense(64, "relu"), TypeError, "Dense(64), ReLU()"),
    "Dense(2, 64)": (lambda: nn.Dense(2, 64), TypeError, "n_in is inferred: Dense(64)"),
    "Dense(64, input_shape=(2,))": (lambda: nn.Dense(64, input_shape=(2,)), TypeError, "inferred from the data"),
    "Dense(out_features=64)": (lambda: nn.Dense(out_features=64), TypeError, "Dense(units=64)"),
    "kernel_initializer": (lambda: nn.Dense(4, kernel_initializer="x"), TypeError, "it is weight_initializer here"),
    "weight_initializer='he_normal'": (
        lambda: nn.Dense(4, weight_initializer="he_normal"),
        TypeError,
        "such as nn.initializers.he_normal",
    ),
    "weight_regularizer='l2'": (lambda: nn.Dense(4, weight_regularizer="l2"), TypeError, "as nn.L2(5e-4)"),
    "weight_regularizer=nn.L2": (lambda: nn.Dense(4, weight_regularizer=nn.L2), TypeError, "as nn.L2(5e-4)"),
    "weight_regularizer_l2=5e-4": (
        lambda: nn.Dense(4, weight_regularizer_l2=5e-4),
        TypeError,
        "give weight_regularizer=nn.L2(…)",
    ),
    "Dropout(p=0.5)": (lambda: nn.Dropout(p=0.5), TypeError, "Dropout(rate=0.5)"),
    "Dropout('0.5')": (lambda: nn.Dropout("0.5"), TypeError, "Dropout takes a number for rate, got '0.5'"),
    "LeakyReLU(negative_slope=0.1)": (lambda: nn.LeakyReLU(negative_slope=0.1), TypeError, "LeakyReLU(slope=0.1)"),
    "Sequential([...])": (lambda: nn.Sequential([nn.Dense(3)]), TypeError, "is a list; unpack it with *"),
    "Sequential(…, 'relu')": (lambda: nn.Sequential(nn.Dense(3), "relu"), TypeError, "give the layer ReLU()"),
    "Sequential(…, nn.relu)": (lambda: nn.Sequential(nn.Dense(3), nn.relu), TypeError, "give the layer ReLU()"),
    "Sequential(…, nn.ReLU)": (lambda: nn.Sequential(nn.Dense(3), nn.ReLU), TypeError, "the class ReLU; give a layer"),
    "network[7]": (lambda: NETWORK[7], IndexError, "Sequential has 4 layers, 0 to 3; got 7"),
    "Adam(lr=0.01)": (lambda: nn.Adam(lr=0.01), TypeError, "Adam(learning_rate=0.01)"),
    "Adam(betas=(0.9, 0.99))": (lambda: nn.Adam(betas=(0.9, 0.99)), TypeError, "give beta1 and beta2"),
    "Adam(eps=1e-7)": (lambda: nn.Adam(eps=1e-7), TypeError, "Adam(epsilon=1e-07)"),
    "Adam(decay=1e-4)": (lambda: nn.Adam(decay=1e-4), TypeError, "learning_rate=nn.InverseTimeDecay(0.05, decay=5e-5)"),
    "SGD(weight_decay=1e-4)": (lambda: nn.SGD(weight_decay=1e-4), TypeError, "nn.AdamW decays weights"),
    "SGD('fast')": (lambda: nn.SGD("fast"), ValueError, "a finite number of at least 0, or a schedule"),
    "EMA('adam')": (lambda: nn.EMA("adam"), TypeError, "such as EMA(Adam(0.01))"),
    "SoftmaxCrossEntropy(from_logits=True)": (
        lambda: nn.SoftmaxCrossEntropy(from_logits=True),
        TypeError,
        "nn.softmax_cross_entropy and nn.sigmoid_cross_entropy take logits",
    ),
    "loss='sparse_categorical_crossentropy'": (
        lambda: model(loss="sparse_categorical_crossentropy"),
        ValueError,
        "nn.softmax_cross_entropy takes logits (no last activation), nn.cross_entropy takes probabilities",
    ),
    "loss='bce'": (
        lambda: model(loss="bce"),
        ValueError,
        "nn.sigmoid_cross_entropy takes logits (no last activation), nn.binary_cross_entropy takes probabilities",
    ),
    "loss='mean_square_error'": (
        lambda: model(loss="mean_square_error"),
        ValueError,
        "did you mean 'mean_squared_error'",
    ),
    "loss=nn.CrossEntropy": (lambda: model(loss=nn.CrossEntropy), TypeError, "nn.CrossEntropy(…)"),
    "optimizer='adamax'": (lambda: model(optimizer="adamax"), ValueError, "did you mean 'adam'"),
    "optimizer=nn.Adam": (lambda: model(optimizer=nn.Adam), TypeError, "nn.Adam(learning_rate=…)"),
    "metrics=['acc']": (lambda: model(metrics=["acuracy"]), ValueError, "did you mean 'accuracy'"),
    "metrics=[Accuracy]": (lambda: model(metrics=[nn.metrics.Accuracy]), TypeError, "nn.metrics.Accuracy()"),
    "callbacks=EarlyStopping": (
        lambda: model().fit(X, Y, callbacks=[nn.EarlyStopping]),
        TypeError,
        "give an instance of it, as EarlyStopping(…)",
    ),
    "model.compile(…)": (lambda: model().compile("adam"), AttributeError, "nn.Model(network, loss, optimizer)"),
    "model.train(…)": (lambda: model().train(X, Y), AttributeError, "model.fit(x, y, epochs=10)"),
    "model.predit(…)": (lambda: model().predit(X), AttributeError, "did you mean 'predict'"),
    "Model(nn.Dense)": (lambda: nn.Model(nn.Dense), TypeError, "network must be a layer, such as nn.Sequential("),
    "net.init(0, …)": (lambda: NETWORK.init(0, (2,)), TypeError, "give np.random.default_rng(0)"),
    "net(params, x, key=0)": (lambda: NETWORK(PARAMS, X, key=0), TypeError, "give nn.Key(0)"),
    "dropout(x, 0.5, 0)": (lambda: nn.dropout(X, 0.5, 0), TypeError, "give nn.Key(0)"),
    "net(params, lists)": (lambda: NETWORK(PARAMS, X.tolist()), nn.DataError, "np.asarray(x, dtype='float32')"),
    "net(net.init(…), x)": (lambda: NETWORK((PARAMS, (3,)), X), nn.ShapeError, "params, output_shape = network.init"),
    "relu([1.0])": (lambda: nn.relu([1.0]), TypeError, "expected an array, got a list; give np.asarray("),
    "step(…, (lists, y), key)": (lambda: stepped((X.tolist(), Y), nn.Key(0)), nn.DataError, "give np.asarray(x)"),
    "step(…, (x, y), 0)": (lambda: stepped((X, Y), 0), TypeError, "give nn.Key(0)"),
    "step(…, x, key)": (lambda: stepped(X, nn.Key(0)), nn.DataError, "a batch is (x, targets) or (x, targets, s"),
    "nn.Linear": (lambda: nn.Linear, AttributeError, "it is nn.Dense here"),
    "nn.Layer_Dense": (lambda: nn.Layer_Dense, AttributeError, "it is nn.Dense here"),
    "nn.BCEWithLogitsLoss": (lambda: nn.BCEWithLogitsLoss, AttributeError, "nn.sigmoid_cross_entropy takes logits"),
    "callbacks='EarlyStopping'": (
        lambda: model().fit(X, Y, callbacks="EarlyStopping"),
        TypeError,
        "instances of subclasses of nn.Callback, got 'EarlyStopping'",
    ),
    "EarlyStopping(restore_best_weights=True)": (
        lambda: nn.EarlyStopping(restore_best_weights=True),
        TypeError,
        "the weights of the best epoch are always restored; leave it out",
    ),
    "EarlyStopping(3)": (lambda: nn.EarlyStopping(3), TypeError, "other arguments go by name, as patience=10"),
    "EarlyStopping(patience='3')": (
        lambda: nn.EarlyStopping(patience="3"),
        ValueError,
        "patience must be an integer of at least 1 epoch, got '3'; give 3",
    ),
    "EarlyStopping(patience='0')": (
        lambda: nn.EarlyStopping(patience="0"),
        ValueError,
        "patience must be an integer of at least 1 epoch, got '0'",
    ),
    "EarlyStopping(min_delta='x')": (
        lambda: nn.EarlyStopping(min_delta="x"),
        TypeError,
        "min_delta must be a finite number of at least 0, got 'x'",
    ),
    "EarlyStopping(n_iter_no_change=5)": (
        lambda: nn.EarlyStopping(n_iter_no_change=5),
        TypeError,
        "it is patience here: EarlyStopping(patience=5)",
    ),
    "ReduceLROnPlateau(min_lr=1e-5)": (
        lambda: nn.ReduceLROnPlateau(min_lr=1e-5),
        TypeError,
        "ReduceLROnPlateau(min_learning_rate=1e-05)",
    ),
    "ReduceLROnPlateau(factor='0.5')": (
        lambda: nn.ReduceLROnPlateau(factor="0.5"),
        TypeError,
        "factor must lie in (0, 1), got '0.5'; give 0.5",
    ),
    "Checkpoint(filepath='run')": (lambda: nn.Checkpoint(filepath="run"), TypeError, "Checkpoint(path='run')"),
    "Checkpoint(save_best_only=True)": (
        lambda: nn.Checkpoint("run", save_best_only=True),
        TypeError,
        "nn.BestWeights(path) saves the best weights",
    ),
    "Checkpoint(every='3')": (lambda: nn.Checkpoint("run", every="3"), ValueError, "or a timedelta, got '3'; give 3"),
    "OwnCallback(evry=3)": (
        lambda: OwnCallback(evry=3),
        TypeError,
        "OwnCallback takes no argument 'evry'; did you mean every?",
    ),
    "CSVLog(append='a')": (
        lambda: nn.CSVLog("log.csv", append="a"),
        TypeError,
        "append must be True or False, got 'a'",
    ),
    "fit(shuffle='batch')": (
        lambda: model().fit(X, Y, shuffle="batch"),
        TypeError,
        "shuffle must be True or False, got 'batch'; True draws a new order of all rows for each epoch",
    ),
    "fit(epochs='3')": (lambda: model().fit(X, Y, epochs="3"), nn.DataError, "got '3'; give 3"),
    "predict(x[0])": (
        lambda: fitted().predict(X[0]),
        nn.ShapeError,
        "expected input (N, 2), got (N,); x has the shape (2,): a single row is a batch of one, x[None]",
    ),
    "predict([1, 2])": (lambda: fitted().predict([1.0, 2.0]), nn.ShapeError, "x[None], or [x] of a list"),
    "evaluate(x[0], y[0])": (lambda: fitted().evaluate(X[0], Y[:1]), nn.ShapeError, "a batch of one, x[None]"),
    "explain(x[0])": (
        lambda: fitted().explain(X[0]),
        nn.ShapeError,
        "expected input (N, 2), got (N,); x has the shape",
    ),
    "predict(column)": (
        lambda: fitted(X[:, :1]).predict(X[:, 0]),
        nn.ShapeError,
        "one number a place has an axis of its own: x[..., None]",
    ),
    "predict(image)": (
        lambda: fitted(IMAGES, nn.Flatten()).predict(IMAGES[0, :, :, 0]),
        nn.ShapeError,
        "a single row is a batch of one, with an axis behind too: x[None, ..., None]",
    ),
    "fit(column)": (
        lambda: model().fit(X[:, 0], Y),
        nn.ShapeError,
        "one number a row is a column, x[:, None], and a single row a batch of one, x[None]",
    ),
    "callbacks=EarlyStopping()": (
        lambda: model().fit(X, Y, callbacks=nn.EarlyStopping()),
        nn.DataError,
        "follows 'val_loss', but the logs have loss, data_loss, penalty, accuracy, learning_rate; give validation_data",
    ),
    "Model([Dense(3)])": (lambda: nn.Model([nn.Dense(3)]), TypeError, "got a list; give nn.Sequential(*layers)"),
    "Bidirectional(nn.LSTM)": (
        lambda: nn.Bidirectional(nn.LSTM),
        TypeError,
        "the class LSTM; give an instance of it, LSTM",
    ),
    "Freeze(nn.Dense)": (lambda: nn.Freeze(nn.Dense), TypeError, "the class Dense; give an instance of it, Dense(…)"),
    "EMA(nn.Adam)": (lambda: nn.EMA(nn.Adam), TypeError, "the class Adam; give an instance of it, Adam(…)"),
    "Adam(nn.CosineDecay)": (
        lambda: nn.Adam(nn.CosineDecay),
        ValueError,
        "the class CosineDecay; give an instance of it",
    ),
    "metrics=nn.metrics.F1": (lambda: model(metrics=nn.metrics.F1), TypeError, "the class F1; give an instance of it"),
    "metrics=['f1_score']": (lambda: model(metrics=["f1_score"]), ValueError, "it is 'f1' here"),
    "metrics=['mse']": (lambda: model(metrics=["mse"]), ValueError, "'rmse' is its root"),
    "F1(threshold='0.5')": (
        lambda: nn.metrics.F1(threshold="0.5"),
        TypeError,
        "F1 takes a number or None for threshold",
    ),
    "SGD(nesterov='yes')": (
        lambda: nn.SGD(0.1, 0.9, nesterov="yes"),
        TypeError,
        "nesterov must be True or False, got 'yes'",
    ),
    "loss='softmx_cross_entropy'": (
        lambda: model(loss="softmx_cross_entropy"),
        ValueError,
        "unknown loss 'softmx_cross_entropy'; did you mean 'softmax_cross_entropy'",
    ),
    "loss='SoftmaxCrossEntropy'": (
        lambda: model(loss="SoftmaxCrossEntropy"),
        ValueError,
        "did you mean 'softmax_cross_entropy'?",
    ),
    "nn.softmx_cross_entropy": (
        lambda: nn.softmx_cross_entropy,
        AttributeError,
        "did you mean nn.softmax_cross_entropy",
    ),
    "optimizer='Adam'": (lambda: model(optimizer="Adam"), ValueError, "did you mean 'adam'? known are"),
    "network(x)": (lambda: NETWORK(X), TypeError, "y, backward = layer(params, x); params, output_shape = layer.init("),
    "nn.Dense(3)(x)": (lambda: nn.Dense(3)(X), TypeError, "Dense is called with its parameters, y, backward = layer("),
    "network.init((2,))": (lambda: NETWORK.init((2,)), TypeError, "Sequential(…).init(np.random.default_rng(0), (2,))"),
    "network.init(rng, 2)": (
        lambda: NETWORK.init(np.random.default_rng(0), 2),
        TypeError,
        "input_shape must be a tuple of integers without the batch axis",
    ),
    "network.init(rng, (None, 2))": (
        lambda: NETWORK.init(np.random.default_rng(0), (None, 2)),
        TypeError,
        "without the batch axis, as Sequential(…).init(np.random.default_rng(0), (2,)), got (None, 2)",
    ),
    "network.fit(x, y)": (lambda: NETWORK.fit(X, Y), AttributeError, "nn.Model(network, loss, optimizer).fit(x, y, ep"),
    "network.parameters()": (lambda: NETWORK.parameters(), AttributeError, "network.init(rng, input_shape)"),
    "network.add(…)": (lambda: NETWORK.add(nn.ReLU()), AttributeError, "layers are given together: nn.Sequential("),
    "optimizer.step()": (lambda: nn.Adam().step(), AttributeError, "optimizer.update(params, grads, state)"),
    "optimizer.zero_grad()": (lambda: nn.Adam().zero_grad(), AttributeError, "every backward returns new ones"),
    "model.zero_grad()": (lambda: model().zero_grad(), AttributeError, "every backward returns new ones"),
    "nn.Activation('tanh')": (lambda: nn.Activation("tanh"), TypeError, "a layer of its own: nn.Tanh()"),
    "nn.optim.Adam": (lambda: nn.optim.Adam(), AttributeError, "optimizers are in nn itself: nn.Adam("),
    "nn.no_grad()": (lambda: nn.no_grad(), AttributeError, "a pass without a key is inference"),
    "nn.manual_seed(0)": (lambda: nn.manual_seed(0), AttributeError, "nn.Model(…, seed=0)"),
    "nn.Conv2d": (lambda: nn.Conv2d, AttributeError, "did you mean nn.Conv2D?"),
    "Dense(3, use_bias=False)": (lambda: nn.Dense(3, use_bias=False), TypeError, "a layer always has a bias"),
    "Model(…, learning_rate=…)": (
        lambda: model(learning_rate=0.1),
        TypeError,
        "it belongs to the optimizer: optimizer=nn.Adam(learning_rate=0.01)",
    ),
    "Model(…, epochs=10)": (lambda: model(epochs=10), TypeError, "they belong to fit: model.fit(x, y, epochs=10)"),
    "Model(…, optimiser='adam')": (lambda: model(optimiser="adam"), TypeError, "did you mean optimizer?"),
    "fit(x, y, 10)": (
        lambda: model().fit(X, Y, 10),
        TypeError,
        "all others by name, as fit(x, y, epochs=10, batch_size=32)",
    ),
    "fit(…, lr=0.1)": (
        lambda: model().fit(X, Y, lr=0.1),
        TypeError,
        "nn.Model(network, loss, nn.Adam(learning_rate=0.01))",
    ),
    "fit(…, n_epochs=10)": (lambda: model().fit(X, Y, n_epochs=10), TypeError, "it is epochs here: fit(epochs=10)"),
    "fit((x, y))": (lambda: model().fit((X, Y)), nn.DataError, "give fit(x, y)"),
    "fit(…, validation_split='0.1')": (
        lambda: model().fit(X, Y, validation_split="0.1"),
        nn.DataError,
        "validation_split must lie in [0, 1), got '0.1'",
    ),
    "clip_norm='1'": (
        lambda: model(clip_norm="1"),
        ValueError,
        "clip_norm must be a finite number above 0, or None, got '1'",
    ),
    "mean_squared_error(x, lists)": (
        lambda: nn.mean_squared_error(X, X.tolist()),
        TypeError,
        "targets must be an array, got a list; give np.asarray(targets)",
    ),
    "softmax_cross_entropy(x, list)": (
        lambda: nn.softmax_cross_entropy(X, [0, 1, 1]),
        TypeError,
        "targets must be an array, got a list; give np.asarray(targets)",
    ),
    "nn.Sofmax": (lambda: nn.Sofmax, AttributeError, "did you mean nn.Softmax?"),
}


@pytest.mark.parametrize("typed", PYTHON)
def test_a_habit_of_another_library_gives_one_line_with_the_remedy(typed):
    call, kind, answer = PYTHON[typed]
    with pytest.raises(kind) as caught:
        call()
    told = str(caught.value)
    assert answer in told
    assert "\n" not in told
    assert len(told) < 500


def test_at_least_forty_habits_are_tested():
    assert len(PYTHON) >= 40


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adamw", "rmsprop", "adagrad", "lion"])
def test_string_names_train_as_the_objects_they_name(optimizer):
    kinds = {kind.__name__.lower(): kind for kind in (nn.Adam, nn.SGD, nn.AdamW, nn.RMSProp, nn.Adagrad, nn.Lion)}
    named, made = model(loss="softmax_cross_entropy", optimizer=optimizer), model(optimizer=kinds[optimizer]())
    assert named.fit(X, Y, epochs=2) == made.fit(X, Y, epochs=2)
    assert not isinstance(named.loss, str)
    assert not isinstance(named.optimizer, str)


def test_a_file_holds_objects_instead_of_names(tmp_path):
    named = nn.Model(NETWORK, "mse", "adam", backend="numpy")
    named.fit(X, X[:, :1] * np.ones(3, "float32"))
    named.save(tmp_path / "model.safetensors")
    loaded = nn.Model.load(tmp_path / "model.safetensors")
    assert (loaded.loss, loaded.optimizer) == (nn.MeanSquaredError(), nn.Adam())


def test_a_loss_by_name_in_a_step_is_checked_against_the_last_layer():
    with pytest.warns(nn.DataWarning, match="the network ends in Dense, and CrossEntropy takes probabilities"):
        nn.make_train_step(NETWORK, "cross_entropy", "adam")


def test_a_steps_logs_hold_the_loss_and_a_batch_may_lack_weights():
    logs = stepped((X, Y), nn.Key(0))[2]
    assert float(logs["loss"]) == float(logs["data_loss"]) + float(logs["penalty"])
    assert float(logs["loss"]) == float(stepped((X, Y, None), nn.Key(0))[2]["loss"])


def test_a_network_is_a_sequence_of_its_layers():
    assert NETWORK[0] == nn.Dense(4)
    assert NETWORK[-1] == nn.Dense(3)
    assert len(NETWORK) == 4
    assert list(NETWORK) == [nn.Dense(4), nn.ReLU(), nn.Dropout(0.5), nn.Dense(3)]
    assert NETWORK[:2] == nn.Sequential(nn.Dense(4), nn.ReLU())
    assert nn.Sequential()


def test_reprs_show_one_layer_per_line():
    network = nn.Sequential(nn.Dense(4, weight_regularizer=nn.L2(5e-4)), nn.Residual(nn.ReLU()), nn.Dense(3))
    shown = repr(network)
    assert shown == (
        "Sequential(\n"
        "    Dense(units=4, weight_regularizer=L1L2(l2=0.0005)),\n"
        "    Residual(\n"
        "        ReLU(),\n"
        "    ),\n"
        "    Dense(units=3),\n"
        ")"
    )
    assert eval(shown, vars(nn) | {"L1L2": nn.L1L2}) == network
    made = nn.Model(network, "softmax_cross_entropy", nn.Adam(0.01), backend="numpy")
    made.fit(X, Y, epochs=2)
    assert repr(made).splitlines()[0] == "Model("
    assert "    optimizer=Adam(learning_rate=0.01)," in repr(made).splitlines()
    assert repr(made).endswith(")  # backend numpy, 27 parameters, 2 epochs")


@pytest.mark.parametrize("kind", [nn.Dense, nn.Adam, nn.OneCycle, nn.SoftmaxCrossEntropy, nn.Sequential, nn.EMA])
def test_signatures_show_the_arguments(kind):
    import inspect

    own = list(inspect.signature(kind.__init__).parameters)[1:]
    assert list(inspect.signature(kind).parameters) == own
    assert own
    assert own != ["args", "kwargs"]
    assert list(inspect.signature(nn.Dense(3)).parameters) == ["params", "x", "key"]


#: what is typed after `arraynn` : the words of the answer; the exit code is 2
COMMAND_LINE = {
    "trian spiral": "there is no command 'trian'; did you mean 'train'?",
    "fit spiral": "there is no command 'fit'; there are train, describe, evaluate, predict, explain",
    "test model.safetensors x.npz": "there is no command 'test'",
    "train": "the following arguments are required: DATA",
    "train spirl": "did you mean 'spiral'?",
    "train mnits": "did you mean 'mnist'?",
    "train data.xml": "'data.xml' is neither a .npz file, nor a table, nor one of spiral",
    "train spiral --epoch 5": "there is no option --epoch; did you mean --epochs?",
    "train spiral --lr 0.1": "there is no option --lr; did you mean --learning-rate?",
    "train spiral --learning_rate 0.1": "there is no option --learning_rate; did you mean --learning-rate?",
    "train spiral --batch_size 32": "did you mean --batch-size",
    "train spiral --batchsize=32": "there is no option --batchsize; did you mean --batch-size",
    "train spiral --device cuda": "there is no option --device",
    "train spiral --gpu": "there is no option --gpu; there are --help, --backend",
    "train spiral --layers 64": "there is no option --layers",
    "train spiral --early_stopping 5": "did you mean --early-stopping",
    "train spiral --optimiser adam": "did you mean --optimizer",
    "train spiral --optimizer adamax": "'adamax' is none of ",
    "train spiral --optimizer Adam": "; did you mean 'adam'",
    "train spiral --activation swish": "'swish' is none of ",
    "train spiral --activation leaky_relu": "; did you mean 'leakyrelu'",
    "train spiral --activation softmax": "'softmax' is none of ",
    "train spiral --loss bce": "nn.sigmoid_cross_entropy takes logits",
    "train spiral --loss softmx_cross_entropy": "; did you mean 'softmax_cross_entropy'",
    "train spiral --loss categorical_crossentropy": "nn.softmax_cross_entropy takes logits",
    "train spiral --loss mean_square_error": "did you mean 'mean_squared_error'",
    "train spiral --loss mse": "--loss mse is for values, but the targets are classes; use one of",
    "train spiral --loss hinge": "--loss hinge is for two classes, but the data have 3",
    "train sine --loss softmax_cross_entropy": "is for classes, but the targets are values; use one of ",
    "train sine --class-weight balanced": "--class-weight is for classes",
    "train spiral --class-weight 1,2": "'1,2' is neither balanced nor class:weight, as 0:1,1:2.5",
    "train spiral --clip-norm 0": "'0' is not a number in (0, inf); try 1",
    "train spiral --dtype float16": "'float16' is none of float32, float64",
    "train spiral --early-stopping 0": "'0' is not an integer of at least 1; try 10",
    "train moons --classes 3": "--classes goes with blobs, circles, spiral, vertical, not with moons",
    "evaluate": "the following arguments are required: MODEL, DATA",
    "predict runs/x": "the following arguments are required: FILE.npz",
    "predict runs/x new.npz --output p.csv": "there is no option --output; did you mean --out",
}


@pytest.mark.parametrize("typed", COMMAND_LINE)
def test_a_habit_on_the_command_line_gives_one_line_with_the_remedy(typed, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*typed.split(), *(["--backend", "numpy"] if typed.startswith("train ") else [])]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert COMMAND_LINE[typed] in shown.err
    assert shown.err.count("\n") == 1
    assert shown.err.rstrip().endswith("--help")
    assert list(tmp_path.iterdir()) == []


def test_at_least_thirty_command_line_habits_are_tested():
    assert len(COMMAND_LINE) >= 30


def test_the_command_without_arguments_prints_help(capsys):
    assert main([]) == 0
    assert "arraynn train spiral" in capsys.readouterr().out
