"""Sessions for a browser on this machine, by the standard library alone.

The server listens on 127.0.0.1 only. A call needs the token that the printed address has; the Host must be this
machine's (a foreign name bound to 127.0.0.1 is refused), the Origin, where a browser sends one, too. The page's policy
allows scripts, styles and connections of this server alone. Whatever is malformed is one 4xx answer.

Threads receive requests; the thread that calls `serve` does the training. An exported program gives the same bits.
"""

from __future__ import annotations

import json
import queue
import secrets
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .files import File
from .session import Session, reason

#: what a browser may have: its kind, and the folder it lies in
FOLDERS = (Path(__file__).parent / "static", Path(__file__).parents[2] / "explain" / "static")
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LARGEST = 262_144  #: bytes of a request's body
SESSIONS = 8  #: the oldest goes when there are more
PATIENCE = 30  #: seconds for a request to arrive
SIGNAL_SECONDS = 0.2  #: until Ctrl-C is heard, at most


class Refused(Exception):
    """A request that is answered by an error. code : 4xx."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"  # all frames go by one connection
    disable_nagle_algorithm = True  # else 40 ms for an answer that is written in two parts
    timeout = PATIENCE
    server: Server

    def do_GET(self) -> None:
        def page() -> tuple[Any, str]:
            name = urlsplit(self.path).path.lstrip("/") or "index.html"
            files = {file.name: file for folder in FOLDERS for file in folder.iterdir() if file.suffix in KINDS}
            if name not in files:
                raise Refused(404, "there is no such page")
            return files[name].read_bytes(), f"{KINDS[files[name].suffix]}; charset=utf-8"

        self.answer(page)

    def do_POST(self) -> None:
        def called() -> tuple[Any, str]:
            token = self.headers.get("X-Token", "")
            if not secrets.compare_digest(token.encode(), self.server.token.encode()):
                raise Refused(403, "the token is missing or wrong: open the address that arraynn play printed")
            arguments = self.body()
            folder, _, name = self.path.lstrip("/").partition("/")
            if folder != "call" or not name.isidentifier():
                raise Refused(404, "there is no such call")
            result = self.server.ask(self.headers.get("X-Session", ""), name, arguments)
            if isinstance(result, bytes):
                return result, "application/octet-stream"
            return json.dumps(result, allow_nan=False).encode(), "application/json"

        self.answer(called)
        if self.server.ending:  # now that the answer is sent: the process ends when `serve` returns
            self.server.end()

    def body(self) -> dict[str, Any]:
        """The request's JSON object."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length:
            raise Refused(411, "a call says the length of its body")
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            raise Refused(400, "Content-Length is no number")
        if int(length) > LARGEST:
            raise Refused(413, f"a call's body has at most {LARGEST} bytes")
        try:
            raw = self.rfile.read(int(length))
        except TimeoutError:
            raise Refused(408, "the body did not arrive") from None
        if len(raw) < int(length):
            raise Refused(400, "the body is shorter than it was said to be")
        try:
            found = json.loads(raw or b"{}", parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise Refused(400, "the body is no JSON") from None
        if not isinstance(found, dict):
            raise Refused(400, "the body is no JSON object")
        return found

    def answer(self, make: Callable[[], tuple[Any, str]]) -> None:
        """Send what `make` gives, or why there is nothing."""
        code = 200
        try:
            self.check_source()
            body, kind = make()
        except Refused as error:
            code, body, kind = error.code, json.dumps({"error": str(error)}).encode(), "application/json"
            self.close_connection = True  # what is left of the request was not read
        self.send_response(code)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY}
        headers |= {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def check_source(self) -> None:
        """Raise Refused for a request under another name than this machine's, or sent by another site's page."""
        names = {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}
        if self.headers.get("Host", "") not in names:
            raise Refused(403, "this server answers at 127.0.0.1 and localhost only")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{name}" for name in names}:
            raise Refused(403, "this server answers its own pages only")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses, such as other methods, in the same form."""
        self.close_connection = True
        if not hasattr(self, "headers"):  # a line that is no request
            self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
            self.headers = self.MessageClass()
            self.headers["Host"] = f"127.0.0.1:{self.server.server_port}"

        def refuse() -> tuple[Any, str]:
            raise Refused(405 if code == 501 else code if 400 <= code < 500 else 400, message or "not understood")

        self.answer(refuse)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Answers at `url` once `serve` runs. port : 0 takes a free one. file, backend : as for `Session`."""

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, port: int = 0, file: File | None = None, backend: Any = "numpy") -> None:
        self.file, self.backend = file, backend
        self.ending = False  # a page has asked for the end
        self.token = secrets.token_urlsafe(24)
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """The address to open. The part behind # stays in the browser."""
        return f"http://127.0.0.1:{self.server_port}/#token={self.token}"

    def serve(self) -> None:
        """Answer until `end` is called, or the caller is interrupted. Training runs here, in the caller's thread."""
        listener = threading.Thread(target=self.serve_forever, daemon=True)
        listener.start()
        try:
            while (job := self._next()) is not None:
                job.run()
        finally:
            self.shutdown()
            self.server_close()
            listener.join()

    def _next(self) -> _Job | None:
        """The next job, None at the end. The wait has a limit: a signal that arrives just before it begins, or in
        another thread, would not end it."""
        while True:
            with suppress(queue.Empty):
                return self.jobs.get(timeout=SIGNAL_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A tab that was closed before its answer came is no error; others are shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Let `serve` return, after what is asked already."""
        self.jobs.put(None)

    def ask(self, session: str, name: str, arguments: dict[str, Any]) -> Any:
        """What a session answers to a call; from any thread."""
        if not (len(session) <= 64 and session.isascii() and session.replace("-", "").isalnum()):
            raise Refused(400, "X-Session is no name of letters and digits")
        job = _Job(lambda: self.called(session, name, arguments))
        self.jobs.put(job)
        job.done.wait()
        if job.error is not None:
            raise job.error
        return job.result

    def called(self, session: str, name: str, arguments: dict[str, Any]) -> Any:
        """Do a call, in the thread of `serve`."""
        if name == "quit":
            self.ending = True
            return {"ended": True}
        if name == "hello":
            self.sessions[session] = Session(self.file, self.backend)
            if len(self.sessions) > SESSIONS:
                self.sessions.popitem(last=False)
        if session not in self.sessions:
            raise Refused(410, f"this tab's session is gone, as there are {SESSIONS} newer ones: reload the page")
        self.sessions.move_to_end(session)
        try:
            return self.sessions[session].call(name, arguments)
        except LookupError as error:
            raise Refused(404, reason(error)) from None


class _Job:
    """A call that waits for the thread of `serve`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work, self.done = work, threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except Exception as error:
            self.error = error if isinstance(error, Refused) else Refused(400, reason(error))
        finally:
            self.done.set()


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
