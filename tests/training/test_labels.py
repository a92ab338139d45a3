"""Labels: position k is output k, everywhere."""

from __future__ import annotations

import numpy as np
import pytest

import arraynn as nn

X, Y = nn.datasets.spiral(20, 2)
NAMES = ("ham", "spam")
LABELS = np.asarray(NAMES)[Y]


def model(classes=NAMES, outputs=2, **options):
    network = nn.Sequential(nn.Dense(8), nn.ReLU(), nn.Dense(outputs))
    return nn.Model(network, backend="numpy", classes=classes, **options)


def test_labels_train_as_their_indices_do():
    plain, labelled = model(None), model()
    plain.fit(X, Y, epochs=3, validation_data=(X, Y), class_weight={1: 2.0}, verbose=0)
    labelled.fit(X, LABELS, epochs=3, validation_data=(X, list(LABELS)), class_weight={"spam": 2.0}, verbose=0)
    assert labelled.history == plain.history
    assert labelled.evaluate(X, LABELS) == plain.evaluate(X, Y)
    found = labelled.predict(X)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [NAMES[k] for k in plain.predict(X)]
    np.testing.assert_array_equal(labelled.predict_proba(X), plain.predict_proba(X))


def test_a_stream_takes_labels_and_weights_by_label():
    plain, labelled = model(None), model()
    plain.fit([(X[:20], Y[:20]), (X[20:], Y[20:])], epochs=2, class_weight={0: 3.0}, verbose=0)
    labelled.fit([(X[:20], LABELS[:20]), (X[20:], LABELS[20:])], epochs=2, class_weight={"ham": 3.0}, verbose=0)
    assert labelled.history == plain.history


@pytest.mark.parametrize("classes", [(7, 3), (False, True), ("b", "a"), ("x", 1)])
def test_position_k_is_output_k_whatever_the_labels_are(classes, tmp_path):
    labels = [classes[k] for k in Y]
    one = model(classes)
    one.fit(X, labels, epochs=1, verbose=0)
    places = np.argmax(np.asarray(one(X)), axis=1)
    assert one.predict(X).tolist() == [classes[k] for k in places]
    one.save(tmp_path / "m")
    again = nn.Model.load(tmp_path / "m", backend="numpy")
    assert again.classes == classes
    assert again.predict(X).tolist() == one.predict(X).tolist()
    assert str(again.explain(X[:2], labels[:2])) == str(one.explain(X[:2], labels[:2]))


def test_balanced_weights_and_distributions_are_as_without_labels():
    plain, labelled = model(None), model()
    plain.fit(X[:30], Y[:30], epochs=1, class_weight="balanced", verbose=0)
    labelled.fit(X[:30], LABELS[:30], epochs=1, class_weight="balanced", verbose=0)
    assert labelled.history == plain.history
    assert labelled.evaluate(X, np.eye(2)[Y]) == labelled.evaluate(X, LABELS)


def test_one_output_predicts_two_labels():
    network = nn.Sequential(nn.Dense(1))
    one = nn.Model(network, nn.sigmoid_cross_entropy, backend="numpy", classes=NAMES)
    one.fit(X, LABELS, epochs=1, class_weight={"spam": 2.0}, verbose=0)
    assert one.predict(X).tolist() == [NAMES[int(k)] for k in np.asarray(one(X))[:, 0] > 0]


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_integers_of_any_library_are_labels(library):
    pytest.importorskip(library)
    backend = nn.backend(library)
    one = nn.Model(nn.Sequential(nn.Dense(2)), classes=(5, 9))
    one.fit(backend.asarray(X), backend.asarray(np.asarray([5, 9])[Y]), epochs=1, verbose=0)
    assert isinstance(one.predict(backend.asarray(X)), np.ndarray)
    assert not isinstance(one.predict_proba(backend.asarray(X)), np.ndarray)


def test_the_ignored_label_is_passed_to_the_loss():
    loss = nn.SoftmaxCrossEntropy(ignore_label=-1)
    one = model(loss=loss)
    labels = [*LABELS[:39].tolist(), -1]
    one.fit(X, labels, epochs=1, verbose=0)
    assert one.evaluate(X, labels) == pytest.approx(one.evaluate(X[:39], labels[:39]), rel=1e-6)


def test_unknown_labels_are_refused_by_name():
    with pytest.raises(nn.DataError, match=r"the label 'eggs' in row 2 is none of the classes 'ham', 'spam'"):
        model().fit(X, ["ham", "spam", "eggs"] + ["ham"] * 37, verbose=0)
    with pytest.raises(nn.DataError, match=r"the label \d in row"):
        model().fit(X, Y, verbose=0)
    with pytest.raises(nn.DataError, match=r"the label (True|False) in row"):
        model((0, 1)).fit(X, Y.astype(bool), verbose=0)
    with pytest.raises(nn.DataError, match="class_weight has 1, which is none of the classes"):
        model().fit(X, LABELS, class_weight={1: 2.0}, verbose=0)
    with pytest.raises(nn.DataError, match="at least two labels that differ"):
        model(("a", "a"))
    with pytest.raises(nn.DataError, match="a sequence of labels"):
        model("ab")
    with pytest.raises(nn.DataError, match=r"a text, a whole number or a boolean, got 1\.5"):
        model((1.5, 2.5))
    with pytest.raises(nn.ShapeError, match="labels must have shape"):
        model().fit(X, LABELS.reshape(20, 2), verbose=0)
