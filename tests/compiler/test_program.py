"""Programs: made once for each form of the arguments, and printed on request; what cannot be made is told."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
import pytest

from arraynn.backends import numpy as numpy_backend
from arraynn.compiler import numpy_codegen, program, tuning
from arraynn.compiler.graph import Graph
from arraynn.compiler.signature import GuardFailed
from arraynn.compiler.trace import Tracer

X = np.arange(6, dtype="float32").reshape(2, 3)


def made(function: Any, *arguments: Any, **options: Any) -> program.Program:
    found = numpy_backend.numpy_program(function, arguments, **options)
    assert found is not None
    return found


def test_debug_prints_the_graph_the_source_and_the_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARRAYNN_DEBUG", "graph,memory")
    made(lambda x: (x * 2.0 + 1.0) * x, X)
    told = capsys.readouterr().err
    assert "= multiply(" in told
    assert "float32[2, 3]" in told
    assert "bytes in all" in told
    assert "def run(" not in told
    monkeypatch.setenv("ARRAYNN_DEBUG", "source")
    made(lambda x: (x * 2.0 + 1.0) * x, X)
    assert "def run(x0):" in capsys.readouterr().err


def test_nothing_is_printed_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    made(lambda x: x * 2.0, X)
    assert capsys.readouterr().err == ""


def failing(*args: Any) -> Any:
    raise IndexError("a mistake of the compiler's own")


def test_an_error_inside_the_compiler_is_one_where_it_is_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_codegen, "pack_updates", failing)
    with pytest.raises(IndexError, match="the compiler's own"):
        numpy_backend.compiled(lambda x: x * 2.0)(X)


def test_users_get_the_plain_step_instead_and_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ARRAYNN_STRICT_COMPILE", "0")
    monkeypatch.setattr(numpy_codegen, "pack_updates", failing)
    with caplog.at_level(logging.WARNING, "arraynn"):
        np.testing.assert_array_equal(numpy_backend.compiled(lambda x: x * 2.0)(X), X * 2)
    assert "the compiler failed, and the function runs as it is: IndexError" in caplog.text


def test_what_the_function_itself_raises_is_no_failure_of_the_compilers() -> None:
    def function(x: Any) -> Any:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        numpy_backend.compiled(function)(X)


@pytest.mark.parametrize(
    ("arguments", "other"),
    [
        (({"a": None},), ({"b": None},)),
        (([X],), ((X,),)),
        ((X, True), (X, False)),
        ((X, "sum"), (X, "mean")),
        ((X, 1), (X, 1.0)),
        ((X, None), (X, 1)),
        (({"a": X},), ({"a": X, "b": X},)),
    ],
)
def test_a_program_is_for_one_form_of_the_arguments(arguments: Any, other: Any) -> None:
    def function(*nests: Any) -> Any:
        return X * 1.0 if nests is None else nests

    run = made(function, *arguments).run
    run(*arguments)
    with pytest.raises(GuardFailed):
        run(*other)


def test_no_more_programs_are_kept_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "PROGRAMS", 2)
    traced: list[Any] = []

    def function(x: Any) -> Any:
        traced.append(type(x))
        return x * 2.0

    compiled = numpy_backend.compiled(function)
    for n in (1, 2, 3, 3, 1):
        np.testing.assert_array_equal(compiled(np.ones(n)), np.full(n, 2.0))
    assert traced.count(Tracer) == 4  # code from outside the library is traced twice


def test_threads_that_come_while_a_function_is_compiled_wait_for_the_program() -> None:
    """Each would compile it anew: eight shards of a batch took eight times as long to begin."""
    began, go, made = threading.Event(), threading.Event(), []

    def slow(arguments: Any) -> Any:
        made.append(arguments)
        began.set()
        assert go.wait(60)
        return program.Program(lambda x: x * 3, "", Graph())

    run = program.specialized(lambda x: x * 2, slow)
    x = np.ones(2)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(run(x))) for _ in range(3)]
    threads[0].start()
    assert began.wait(60)
    for thread in threads[1:]:
        thread.start()
    assert not found
    go.set()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    np.testing.assert_array_equal(found, [3 * x] * 3)


def test_a_program_that_cannot_be_made_is_tried_again() -> None:
    def failing(arguments: Any) -> Any:
        raise RuntimeError("an error of the compiler's")

    run = program.specialized(lambda x: x, failing)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            run(np.ones(2))
