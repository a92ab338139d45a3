"""The session of a page without a server: messages in, text or bytes out, whatever is asked."""

from __future__ import annotations

import json

import pytest

from arraynn.learn.play.session import Session
from arraynn.learn.play.worker import TabSession


def ask(tab, name, **given):
    return json.loads(tab.call(name, json.dumps(given)))


def test_a_call_returns_the_result_of_the_session():
    tab, session = TabSession(), Session()
    first = ask(tab, "hello")["result"]
    assert first["presets"].keys() == session.call("hello", {})["presets"].keys()
    settings = {"samples": 10, "layers": [{"units": 3}]}
    assert ask(tab, "configure", settings=settings)["result"] == _plain(
        session.call("configure", {"settings": settings})
    )
    assert ask(tab, "step", count=3)["result"] == _plain(session.call("step", {"count": 3}))
    assert ask(tab, "code")["result"] == session.call("code", {})


def _plain(value):
    return json.loads(json.dumps(value))


def test_hello_starts_a_new_session():
    tab = TabSession()
    ask(tab, "step", count=2)
    assert ask(tab, "hello")["result"]["step"] == 0


def test_a_file_is_returned_as_bytes():
    tab = TabSession()
    found = tab.call("save", "{}")
    assert isinstance(found, bytes)
    assert b"arraynn" in found


@pytest.mark.parametrize(("name", "given", "said"), [
    ("quit", "{}", "there is no call 'quit'"),
    ("begin", "{}", "there is no call 'begin'"),
    ("__init__", "{}", "there is no call '__init__'"),
    ("step", '{"count": 0}', "it must be an integer from 1 to 10000"),
    ("step", '{"more": 0}', "unexpected keyword argument 'more'"),
    ("configure", '{"settings": {"data": "file"}}', "no file was given"),
    ("step", "[", "JSONDecodeError"),
    ("step", "3", "mapping"),
])  # fmt: skip
def test_an_impossible_call_returns_an_error_message(name, given, said):
    tab = TabSession()
    found = json.loads(tab.call(name, given))
    assert found.keys() == {"error"}
    assert said in found["error"]
    assert ask(tab, "step")["result"]["step"] == 1
