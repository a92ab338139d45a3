"""Parsers of command-line values. Each error names the value, the allowed range and a valid example."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from .._names import cross_entropies, guess
from ..datasets.tables import is_table_file
from ._recipes import LOSSES, RECIPES

BENCHED = ("spiral", "drop", "mnist", "wide")


def data(text: str) -> str:
    if text in RECIPES or text.endswith(".npz") or is_table_file(text) or os.path.exists(text):
        return text
    near = get_close_matches(text, RECIPES, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a .npz file, nor a table, nor one of {', '.join(RECIPES)}{guess}"
    )


def one_of(known: Iterable[str]) -> Callable[[str], str]:
    names = tuple(known)

    def parse(text: str) -> str:
        if text in names:
            return text
        if names == LOSSES and (forms := cross_entropies(text, names)):
            raise argparse.ArgumentTypeError(f"{text!r} means different things in different libraries: {forms}")
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}{guess(text, names)}")

    return parse


def class_weight(text: str) -> Any:
    if text == "balanced":
        return text
    try:
        weights = {int(label): float(weight) for label, weight in (part.split(":") for part in text.split(","))}
    except ValueError:
        weights = {0: -1.0}
    if not all(0 <= weight < math.inf for weight in weights.values()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither balanced nor class:weight, as 0:1,1:2.5")
    return weights


def workload(text: str) -> str:
    if text not in BENCHED:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(BENCHED)}")
    return text


def integer(low: int, example: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least {low}; try {example}")
        return value

    return parse


def number(allowed: str, fits: Callable[[float], bool], example: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number in {allowed}; try {example:g}")
        return value

    return parse


def share(text: str) -> float:
    return number("[0, 1)", lambda v: 0 <= v < 1, 0.2)(text)


def positive(example: float) -> Callable[[str], float]:
    return number("[0, inf)", lambda v: 0 <= v < math.inf, example)


def batch_size(text: str) -> int | str:
    try:
        return text if text == "full" else integer(1, 32)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or full for the whole set") from None


def hidden(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of integers of at least 1; try 64,64, or none")
    return sizes
