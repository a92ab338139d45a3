"""The server without a browser: what it answers, and to whom."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from arraynn.learn.play.server import CONTENT_SECURITY_POLICY, MAX_BODY, MAX_SESSIONS
from tests.learn.play.serving import ROOT, ended, started


class Client:
    """Calls by HTTP."""

    def __init__(self, server, session: str = "tab"):
        self.server, self.session = server, session

    def request(self, path="/call/hello", method="POST", body: bytes | str = b"{}", **headers):
        given = {"Host": f"127.0.0.1:{self.server.port}", "X-Token": self.server.token, "X-Session": self.session}
        given = {name: value for name, value in (given | headers).items() if value is not None}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        body = body.encode() if isinstance(body, str) else body
        for name, value in ({"Content-Length": str(len(body))} | given).items():
            if value != "":
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data, dict(answer.getheaders())

    def call(self, name, **arguments):
        status, data, _ = self.request(f"/call/{name}", body=json.dumps(arguments))
        return status, json.loads(data)


@pytest.fixture
def client(server):
    made = Client(server)
    assert made.call("hello")[0] == 200
    return made


def test_the_page_is_served_with_its_content_security_policy(client):
    for path, kind in (("/", "text/html"), ("/play.js", "text/javascript"), ("/play.css", "text/css")):
        status, data, headers = client.request(path, "GET", b"")
        assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert data
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    page = client.request("/", "GET", b"")[1].decode()
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=", page)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil:80", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_host_is_refused(client, host, method):
    assert client.request("/" if method == "GET" else "/call/hello", method, Host=host)[0] == 403


def test_requests_of_other_sites_are_refused(client):
    assert client.request(Origin="http://evil.example")[0] == 403
    assert client.request(Origin="null")[0] == 403
    assert client.request(Origin=f"http://127.0.0.1:{client.server.port}")[0] == 200


@pytest.mark.parametrize("token", ["", "x", "é"])
def test_without_the_token_nothing_is_done(client, token):
    status, data, _ = client.request(**{"X-Token": token.encode("latin-1").decode("latin-1")})
    assert status == 403
    assert "token" in json.loads(data)["error"]


@pytest.mark.parametrize("path", [
    "/../session.py", "/..%2fsession.py", "/%2e%2e/session.py", "//etc/passwd", "/static/play.js", "/session.py",
    "/./../server.py", "/play.js/..", "/index.html%00.js", "/http://127.0.0.1/", "/\\..\\session.py", "/x" * 5000,
])  # fmt: skip
def test_no_path_leads_outside_the_served_folder(client, path):
    assert client.request(path, "GET", b"")[0] in (404, 414)


@pytest.mark.parametrize(
    "name", ["", "nothing", "_train", "__init__", "begin", "weights", "call", "hello/x", "a b", "%C3%A9"]
)
def test_only_public_calls_can_be_called(client, name):
    path = "/call/" + name.replace(" ", "%20")
    assert client.request(path)[0] == 404


@pytest.mark.parametrize(("body", "status"), [
    ("", 200), ("{", 400), ("[]", 400), ("3", 400), ("nan", 400), ('{"a": NaN}', 400), ('{"a": 1e999}', 400),
    ('{"self": 1}', 400), ('{"name": 1, "x": 2}', 400), ("[" * 100_000, 400), (b"\xff\xfe", 400), ("9" * 10_000, 400),
    ('{"": 1}', 400),
], ids=lambda value: str(value)[:20])  # fmt: skip
def test_a_malformed_body_gets_one_clear_error(client, body, status):
    got, data, _ = client.request("/call/code", body=body)
    assert got == status
    if status != 200:
        assert 0 < len(json.loads(data)["error"]) < 400


@pytest.mark.parametrize(("headers", "status"), [
    ({"Content-Length": str(MAX_BODY + 1)}, 413), ({"Content-Length": "99999999999999"}, 400),
    ({"Content-Length": "-1"}, 400), ({"Content-Length": "x"}, 400), ({"Content-Length": ""}, 411),
    ({"Transfer-Encoding": "chunked"}, 411), ({"X-Session": ""}, 400), ({"X-Session": "a/b"}, 400),
    ({"X-Session": "a" * 65}, 400), ({"X-Session": "never-said-hello"}, 410),
], ids=str)  # fmt: skip
def test_a_wrong_header_gets_one_clear_error(client, headers, status):
    got, data, _ = client.request("/call/code", body=b"", **headers)
    assert got == status
    assert json.loads(data)["error"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "CONNECT", "FOO"])
def test_other_methods_are_not_allowed(client, method):
    assert client.request("/", method, b"")[0] == 405


@pytest.mark.parametrize("raw", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"GET " + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
], ids=lambda raw: str(raw[:20]))  # fmt: skip
def test_bytes_that_are_not_a_request_do_not_stop_the_server(client, raw):
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=20) as wire:
        wire.sendall(raw)
        wire.shutdown(socket.SHUT_WR)
        got = b""
        while part := wire.recv(65536):
            got += part
    assert got == b"" or re.match(rb"HTTP/1\.1 4\d\d ", got)
    assert client.call("code")[0] == 200


def test_bad_arguments_say_what_is_allowed(client):
    status, answer = client.call("configure", settings={"samples": 0})
    assert status == 400
    assert answer["error"] == "samples is '0'; it must be an integer from 1 to 2000"


def test_two_tabs_are_two_sessions(server):
    one, other = Client(server, "one"), Client(server, "other")
    assert one.call("hello")[1]["epoch"] == other.call("hello")[1]["epoch"] == 0
    assert one.call("step", count=3)[1]["epoch"] == 3
    assert other.call("step", count=1)[1]["epoch"] == 1
    assert one.call("step", count=1)[1]["epoch"] == 4


def test_the_oldest_session_is_closed_and_its_tab_informed(server):
    clients = [Client(server, f"many{i}") for i in range(MAX_SESSIONS + 1)]
    for made in clients:
        made.call("hello")
    status, answer = clients[0].call("code")
    assert status == 410
    assert "reload" in answer["error"]
    assert clients[1].call("code")[0] == 200


def test_the_model_is_sent_as_bytes(client, tmp_path):
    import arraynn as nn

    client.call("step", count=2)
    status, data, headers = client.request("/call/save")
    assert (status, headers["Content-Type"]) == (200, "application/octet-stream")
    (tmp_path / "model.safetensors").write_bytes(data)
    assert nn.Model.load(tmp_path / "model.safetensors", backend="numpy").step == 2


def test_it_listens_on_this_machine_alone(server):
    with socket.socket() as other:
        other.settimeout(5)
        with pytest.raises(OSError):
            other.connect((_own_address(), server.port))


def _own_address() -> str:
    """An address of this machine that is not 127.0.0.1; where it has none, another loopback one, not bound either."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            found = probe.getsockname()[0]
        except OSError:
            found = "127.0.0.2"
    return "127.0.0.2" if found.startswith("127.0.0.1") else found


@pytest.mark.parametrize("way", ["quit", signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_on_request(way):
    running = started()
    client = Client(running)
    client.call("hello")
    if way == "quit":
        assert client.call("quit") == (200, {"ended": True})
    else:
        running.process.send_signal(way)
    assert running.process.wait(timeout=30) == 0
    ended(running)


def test_a_data_file_is_listed_and_opened(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=rng.standard_normal((30, 2)), y=rng.integers(0, 4, 30))
    running = started("--data", str(tmp_path / "mine.npz"))
    try:
        answer = Client(running).call("hello")[1]
        assert answer["file"]
        assert answer["settings"]["data"] == "file"
        assert (answer["classes"], len(answer["points"])) == (4, 30)
        assert str(tmp_path / "mine.npz") in answer["code"]
    finally:
        ended(running)


@pytest.mark.parametrize(("arguments", "said"), [
    (["--port", "70000"], "not a port"), (["--preset", "99"], "there is no preset"),
    (["--data", "none.npz"], "no such file"),
    (["--backend", "nothing"], "nothing"),
], ids=str)  # fmt: skip
def test_a_wrong_command_prints_one_line_of_error(arguments, said):
    done = subprocess.run(
        [sys.executable, "-m", "arraynn", "play", "--no-browser", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_of_more_inputs_is_refused(tmp_path):
    for name, x, y in (
        ("wide", np.zeros((3, 5)), np.zeros(3, int)),
        ("many", np.zeros((9, 2)), np.arange(9)),
        ("nan", np.full((3, 2), np.nan), np.zeros(3, int)),
        ("columns", np.zeros((3, 2)), np.zeros((3, 2))),
    ):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
        command = [sys.executable, "-m", "arraynn", "play", "--no-browser", "--data", str(tmp_path / f"{name}.npz")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert f"{name}.npz" in done.stderr
