"""Suggests names in error messages: similar ones, and the counterparts of other libraries' names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ._habits import ARGUMENTS, ELSEWHERE, INSTEAD, INSTEAD_OF_NAME, METRICS, PUBLIC

P = ParamSpec("P")
T = TypeVar("T")

PAIRS = {
    "binary": "nn.sigmoid_cross_entropy takes logits (no last activation), nn.binary_cross_entropy takes "
    "probabilities (after nn.Sigmoid())",
    "classes": "nn.softmax_cross_entropy takes logits (no last activation), nn.cross_entropy takes probabilities "
    "(after nn.Softmax())",
}


#: names of activation layers; each elementwise layer of the library adds its own
ACTIVATIONS = {"Softmax"}


def plain(name: str) -> str:
    """The name in lower case, without characters other than letters and digits.

    >>> plain("Sparse_Categorical-Crossentropy")
    'sparsecategoricalcrossentropy'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The most similar names, best first. Case and punctuation do not count.

    A name that differs only in these is the only result.

    >>> nearest("trian", ["train", "predict"]), nearest("Adam", ["adam", "nadam"])
    (['train'], ['adam'])
    """
    by_plain: dict[str, str] = {}
    for one in sorted(
        known, key=lambda one: one.islower() != name.islower()
    ):  # if two differ only in case, prefer the same case
        by_plain.setdefault(plain(one), one)
    own = by_plain.get(plain(name))
    return [by_plain[one] for one in get_close_matches(plain(name), by_plain, n=limit)] if own is None else [own]


def guess(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The end of an error message, "; did you mean 'train'?", or "" if no name is similar.

    >>> guess("trian", ["train", "predict"])
    "; did you mean 'train'?"
    """
    near = [repr(one) if not prefix else f"{prefix}{one}" for one in nearest(name, known)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def cross_entropies(name: str, known: Iterable[str] = ()) -> str:
    """The losses that another library's name of a cross-entropy may stand for, as text; "" for any other name.

    Libraries differ in whether it takes logits or probabilities, so a guess could silently give wrong numbers.
    known : our own names. A name with a typo of one of them is not another library's name. Nor is one that differs only
    in case, if it says which form it is (softmax, sigmoid).

    >>> cross_entropies("BCEWithLogitsLoss")[:42]
    'nn.sigmoid_cross_entropy takes logits (no '
    >>> cross_entropies("softmx_cross_entropy", ["softmax_cross_entropy"])
    ''
    """
    name = plain(name)
    slip = get_close_matches(name, sorted({plain(one) for one in known}), 1, 0.93)
    if slip and (slip[0] != name or name.startswith(("softmax", "sigmoid"))):
        return ""
    if not re.search(
        r"crossentropy|^x?ent$|^b?ce(loss)?$|^bce|^nll|negativeloglikelihood|logloss|logistic|deviance", name
    ):
        return ""
    if re.search(r"categorical|softmax|multi|^ce|^nll|^crossentropyloss$", name):
        return PAIRS["classes"]
    if re.search(r"bin|^bce|sigmoid|logits", name):
        return PAIRS["binary"]
    return f"for classes {PAIRS['classes']}; for binary outputs {PAIRS['binary']}"


def unexpected(kind: str, name: str, value: Any, accepted: Iterable[str]) -> str:
    """The error message for an argument that `kind`, a class of hyperparameters, does not take.

    >>> unexpected("Adam", "lr", 0.01, ["learning_rate", "beta1"])
    "Adam takes no argument 'lr'; it is learning_rate here: Adam(learning_rate=0.01)"
    """
    accepted = list(accepted)
    said = f"{kind} takes no argument {name!r}; "
    if elsewhere := ELSEWHERE.get(kind, {}).get(name):
        return said + elsewhere
    ours = next((own for own in ARGUMENTS.get(name, "").split(" or ") if own in accepted), "")
    if name == "activation" and isinstance(value, str):
        layer = {"softmax": "Softmax", "linear": "Identity", "swish": "SiLU"}.get(value.lower())
        layer = layer or next(iter(nearest(value, sorted(ACTIVATIONS), 1)), "ReLU")
        example = "64" if kind == "Dense" else "…"
        return f"{said}an activation is a layer of its own: nn.{kind}({example}), nn.{layer}()"
    if ours:
        return f"{said}it is {ours} here: {kind}({ours}={value!r})"
    if name in INSTEAD:
        return said + INSTEAD[name].format(kind=kind)
    near = nearest(name, accepted)
    return said + (f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(accepted) or 'none'}")


def explains_wrong_arguments(kind: str, form: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator for better errors: unknown arguments give the message of `unexpected`, too many show `form`.

    >>> @explains_wrong_arguments("fit", "fit(x, y)")
    ... def fit(x, y, *, epochs): ...
    >>> fit([], [], 10)
    Traceback (most recent call last):
    TypeError: fit takes 2 positional arguments, all others by name, as fit(x, y); got 3
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        parameters = inspect.signature(function).parameters
        names = [name for name in parameters if name != "self"]
        positional = [
            one for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        ]
        hidden = len(parameters) - len(names)

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            for name, value in kwargs.items():
                if name not in parameters:
                    raise TypeError(unexpected(kind, name, value, names))
            if len(args) > len(positional):
                many = f"{len(positional) - hidden} positional arguments"
                raise TypeError(f"{kind} takes {many}, all others by name, as {form}; got {len(args) - hidden}")
            return function(*args, **kwargs)

        return checked

    return decorate


def not_a_metric(name: str, known: Iterable[str]) -> str:
    """The error message for an unknown name of a metric.

    >>> not_a_metric("f1_score", ["accuracy", "f1"])
    "unknown metric 'f1_score'; it is 'f1' here; known are accuracy, f1"
    """
    known = list(known)
    ours = METRICS.get(plain(name))
    near = f"; it is {ours!r} here;" if ours in known else guess(name, known) or ";"
    if plain(name) in ("mse", "meansquarederror"):
        near = "; 'rmse' is its root, and the loss nn.mean_squared_error reports it as loss;"
    return f"unknown metric {name!r}{near} known are {', '.join(known)}"


def no_method(kind: str, name: str, habits: Mapping[str, str]) -> str:
    """The error message for an attribute that a layer or an optimizer does not have.

    >>> no_method("Dense", "fit", {"fit": "a model trains"})
    "'Dense' object has no attribute 'fit'; a model trains"
    """
    more = f"; {habits[name]}" if name in habits else ""
    return f"{kind!r} object has no attribute {name!r}{more}"


def no_attribute(module: str, name: str, known: Iterable[str]) -> str:
    """The error message for a public name that does not exist.

    >>> no_attribute("arraynn", "Linear", ["Dense"])
    "module 'arraynn' has no attribute 'Linear'; it is nn.Dense here"
    """
    said = f"module {module!r} has no attribute {name!r}"
    known = list(known)
    ours = PUBLIC.get(plain(name), "")
    if ours and (ours in known or "." in ours):
        return f"{said}; it is nn.{ours} here"
    if instead := INSTEAD_OF_NAME.get(plain(name)):
        return f"{said}; {instead}"
    if pairs := cross_entropies(name, known):
        return f"{said}; {pairs}"
    return said + guess(name, known, "nn.")
