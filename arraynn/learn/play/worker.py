"""Serves a session to a page whose web worker runs Python itself (Pyodide), by messages instead of HTTP requests."""

from __future__ import annotations

import json

from .session import Session, reason


class TabSession:
    """Holds the session of one browser tab. The call "hello" starts a new one, as at `server.Server`."""

    def __init__(self) -> None:
        self.session: Session | None = None

    def call(self, name: str, arguments: str) -> str | bytes:
        """Call a method of the session. arguments : a JSON object.

        Returns the bytes of a file, or JSON text: {"result": …}, or {"error": why} if the call fails.
        """
        try:
            if self.session is None or name == "hello":
                self.session = Session()
            result = self.session.call(name, json.loads(arguments))
        except Exception as error:
            return json.dumps({"error": reason(error)})
        return result if isinstance(result, bytes) else json.dumps({"result": result}, allow_nan=False)
