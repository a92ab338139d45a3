"""What the exercises share: comparisons that say what is wrong, and the verdict. It is no part of arraynn.

python examples/exercises/05.py judges what you wrote into that file. With --solution it judges the solution beside it,
and the usual mistakes, each of which must fail.
"""

import functools
import importlib.util
import inspect
import re
import sys
import textwrap
import traceback
from pathlib import Path

import numpy as np

from arraynn.testing import check_backward


def equal(name, got, wanted, mistakes=None, tolerance=1e-9):
    """Raise AssertionError where `got` is not `wanted`. mistakes : {what went wrong: the value that it gives}."""
    if got is None:
        raise AssertionError(f"{name} is None: is it returned?")
    got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    if _same(got, wanted, tolerance):
        return
    known = [why for why, value in (mistakes or {}).items() if _same(got, np.asarray(value, float), tolerance)]
    if got.shape != wanted.shape:
        what = f"{name} has shape {got.shape}, expected {wanted.shape}"
    else:
        with np.errstate(all="ignore"):
            off = np.nan_to_num(np.abs(got - wanted), nan=np.inf)
        worst = np.unravel_index(np.argmax(off >= off.max() * (1 - 1e-6)), off.shape)  # the first of equals
        place = f", most at {[int(i) for i in worst]}" if worst else ""
        what = f"{name} is wrong{place}: expected {wanted[worst] + 0.0}, got {got[worst] + 0.0}"
    raise AssertionError("\n  ".join([what, *known[:1]]))


def _same(a, b, tolerance):
    return a.shape == b.shape and np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def differences(block, *args):
    """`check_backward`, to which the block answers in the dtype that it is asked in: dtypes are no part of a task."""

    @functools.wraps(block)  # with the names of its arguments
    def cast(*arrays):
        dtype = np.asarray(arrays[0]).dtype
        y, backward = block(*(np.asarray(array, np.float64) for array in arrays))

        @functools.wraps(backward)
        def cast_backward(*dy):
            found = backward(*(np.asarray(each, np.float64) for each in dy))
            return tuple(part.astype(dtype) for part in found) if isinstance(found, tuple) else found.astype(dtype)

        return np.asarray(y, dtype), cast_backward

    try:
        check_backward(cast, *args)
    except AssertionError as error:
        raise AssertionError(str(error).removeprefix(f"{block.__name__}: ")) from None


def require(condition, message):
    """Raise AssertionError with the message where the condition does not hold."""
    if not condition:
        raise AssertionError(message)


def verdict(check, answer):
    """(whether the answer passes, what to say of it)."""
    try:
        with np.errstate(all="ignore"):
            check(answer)
    except NotImplementedError:
        return False, "not written yet: replace `raise NotImplementedError` by your lines, and run this again"
    except AssertionError as error:
        return False, str(error)
    except Exception as error:
        own = [at for at in traceback.extract_tb(error.__traceback__) if at.filename == answer.__code__.co_filename]
        if own and own[-1].name != "check":
            return False, f"it stops at `{own[-1].line}`: {type(error).__name__}: {error}"
        return False, f"what it returns is not what its docstring says: {type(error).__name__}: {error}"
    return True, "passes"


def lines(name, words):
    """A verdict as the lines that are printed: numbers rounded, long lines wrapped."""
    words = re.sub(r"-?\d+\.\d+(e[-+]\d+)?", lambda found: f"{float(found[0]):.4g}", words)
    wrapped = [textwrap.wrap(line, 110, subsequent_indent="    ") for line in f"{name}: {words}".splitlines()]
    return [line for part in wrapped for line in part]


def versions(file):
    """The functions of the solution of an exercise: the solution itself, then mistakes."""
    spec = importlib.util.spec_from_file_location(f"solution_{file.stem}", file.parent / "solutions" / file.name)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return [each for each in vars(module).values() if getattr(each, "__module__", None) == module.__name__]


def run(check, answer):
    """Judge the answer and print the verdict. As a program it exits with status 1 where the answer does not pass."""
    right = True
    if "--solution" in sys.argv[1:]:
        for place, version in enumerate(versions(Path(inspect.getsourcefile(check)))):
            passes, words = verdict(check, version)
            print(*lines(version.__name__, words), sep="\n")
            right &= passes == (place == 0)
    else:
        right, words = verdict(check, answer)
        print(*lines(answer.__name__, words), sep="\n")
    if not right and "ipykernel" not in sys.modules:
        sys.exit(1)
