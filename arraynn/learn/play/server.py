"""An HTTP server that serves sessions to a browser on this machine, written with the standard library alone.

The server listens on 127.0.0.1 only. A call needs the token in the printed address. The Host header must name this
machine, so a foreign name that resolves to 127.0.0.1 is refused. An Origin header, where a browser sends one, must name
this server. The page's content security policy allows scripts, styles and connections of this server only. A malformed
request gets one 4xx response.

Threads receive requests; the thread that calls `serve` does the training, so it gives an exported program's bits.
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

#: folders with the files that a browser may load, and their MIME types
FOLDERS = (Path(__file__).parent / "static", Path(__file__).parents[2] / "explain" / "static")
MIME_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MAX_BODY = 262_144  #: bytes of a request's body
MAX_SESSIONS = 8  #: with more, the least recently used session is dropped
TIMEOUT = 30  #: seconds for a request to arrive
POLL_SECONDS = 0.2  #: the longest time until Ctrl-C is noticed


class RequestError(Exception):
    """A request that gets an error as its response. code : 4xx."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    protocol_version = "HTTP/1.1"  # keeps the connection open between frames
    disable_nagle_algorithm = True  # with it, a response written in two parts takes 40 ms
    timeout = TIMEOUT
    server: Server

    def do_GET(self) -> None:
        def page() -> tuple[Any, str]:
            name = urlsplit(self.path).path.lstrip("/") or "index.html"
            files = {file.name: file for folder in FOLDERS for file in folder.iterdir() if file.suffix in MIME_TYPES}
            if name not in files:
                raise RequestError(404, "there is no such page")
            return files[name].read_bytes(), f"{MIME_TYPES[files[name].suffix]}; charset=utf-8"

        self.respond(page)

    def do_POST(self) -> None:
        def call() -> tuple[Any, str]:
            token = self.headers.get("X-Token", "")
            if not secrets.compare_digest(token.encode(), self.server.token.encode()):
                raise RequestError(403, "the token is missing or wrong: open the address that arraynn play printed")
            arguments = self.body()
            folder, _, name = self.path.lstrip("/").partition("/")
            if folder != "call" or not name.isidentifier():
                raise RequestError(404, "there is no such call")
            result = self.server.ask(self.headers.get("X-Session", ""), name, arguments)
            if isinstance(result, bytes):
                return result, "application/octet-stream"
            return json.dumps(result, allow_nan=False).encode(), "application/json"

        self.respond(call)
        if self.server.ending:  # checked after the response is sent, as the process ends when `serve` returns
            self.server.end()

    def body(self) -> dict[str, Any]:
        """The request's JSON object."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length:
            raise RequestError(411, "a call needs a Content-Length header and no Transfer-Encoding")
        if not (length.isascii() and length.isdigit() and len(length) < 10):
            raise RequestError(400, "Content-Length is not a number")
        if int(length) > MAX_BODY:
            raise RequestError(413, f"a call's body has at most {MAX_BODY} bytes")
        try:
            raw = self.rfile.read(int(length))
        except TimeoutError:
            raise RequestError(408, "the body did not arrive") from None
        if len(raw) < int(length):
            raise RequestError(400, "the body is shorter than its Content-Length")
        try:
            found = json.loads(raw or b"{}", parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            raise RequestError(400, "the body is not JSON") from None
        if not isinstance(found, dict):
            raise RequestError(400, "the body is not a JSON object")
        return found

    def respond(self, make: Callable[[], tuple[Any, str]]) -> None:
        """Send the (body, MIME type) that `make` returns, or the error that it raises."""
        code = 200
        try:
            self.check_source()
            body, kind = make()
        except RequestError as error:
            code, body, kind = error.code, json.dumps({"error": str(error)}).encode(), "application/json"
            self.close_connection = True  # the rest of the request was not read
        self.send_response(code)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        }
        headers |= {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def check_source(self) -> None:
        """Raise RequestError for a request whose Host is not this machine, or that another site's page sent."""
        names = {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}
        if self.headers.get("Host", "") not in names:
            raise RequestError(403, "this server answers at 127.0.0.1 and localhost only")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{name}" for name in names}:
            raise RequestError(403, "this server answers its own pages only")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send the errors of the standard library's handler, such as for other methods, in the form of `respond`."""
        self.close_connection = True
        if not hasattr(self, "headers"):  # the first line is not a request
            self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
            self.headers = self.MessageClass()
            self.headers["Host"] = f"127.0.0.1:{self.server.server_port}"

        def refuse() -> tuple[Any, str]:
            raise RequestError(405 if code == 501 else code if 400 <= code < 500 else 400, message or "not understood")

        self.respond(refuse)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """The server at `url`, which responds while `serve` runs.

    port : 0 takes a free one. file, backend : as for `Session`.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, port: int = 0, file: File | None = None, backend: Any = "numpy") -> None:
        self.file, self.backend = file, backend
        self.ending = False  # whether a page has asked the server to stop
        self.token = secrets.token_urlsafe(24)
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """The address to open. The browser does not send the part after #."""
        return f"http://127.0.0.1:{self.server_port}/#token={self.token}"

    def serve(self) -> None:
        """Serve until `end` is called or the caller is interrupted. Training runs in the caller's thread."""
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
        """The next job, or None at the end.

        The wait has a timeout, as a signal that arrives just before it, or in another thread, would not interrupt it.
        """
        while True:
            with suppress(queue.Empty):
                return self.jobs.get(timeout=POLL_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error of a tab that was closed before its response; report others."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Make `serve` return after the jobs that are already queued."""
        self.jobs.put(None)

    def ask(self, session: str, name: str, arguments: dict[str, Any]) -> Any:
        """Queue a call and return its result; may be called from any thread."""
        if not (len(session) <= 64 and session.isascii() and session.replace("-", "").isalnum()):
            raise RequestError(400, "X-Session must be a name of letters and digits")
        job = _Job(lambda: self.run_call(session, name, arguments))
        self.jobs.put(job)
        job.done.wait()
        if job.error is not None:
            raise job.error
        return job.result

    def run_call(self, session: str, name: str, arguments: dict[str, Any]) -> Any:
        """Run a call in the thread of `serve`."""
        if name == "quit":
            self.ending = True
            return {"ended": True}
        if name == "hello":
            self.sessions[session] = Session(self.file, self.backend)
            if len(self.sessions) > MAX_SESSIONS:
                self.sessions.popitem(last=False)
        if session not in self.sessions:
            raise RequestError(410, f"this tab's session was dropped for {MAX_SESSIONS} newer ones: reload the page")
        self.sessions.move_to_end(session)
        try:
            return self.sessions[session].call(name, arguments)
        except LookupError as error:
            raise RequestError(404, reason(error)) from None


class _Job:
    """A call queued for the thread of `serve`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work, self.done = work, threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.work()
        except Exception as error:
            self.error = error if isinstance(error, RequestError) else RequestError(400, reason(error))
        finally:
            self.done.set()


def _reject_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number in JSON")
