"""The session of a page in whose web worker Python itself runs (Pyodide): messages in the place of requests."""

from __future__ import annotations

import json

from .session import Session, reason


class Desk:
    """One tab's session. "hello" begins it, as at `server.Server`."""

    def __init__(self) -> None:
        self.session: Session | None = None

    def call(self, name: str, arguments: str) -> str | bytes:
        """Do what a page asks for. arguments : a JSON object.

        Returns the bytes of a file, or JSON text: {"result": …}, or {"error": why} for what cannot be done.
        """
        try:
            if self.session is None or name == "hello":
                self.session = Session()
            result = self.session.call(name, json.loads(arguments))
        except Exception as error:
            return json.dumps({"error": reason(error)})
        return result if isinstance(result, bytes) else json.dumps({"result": result}, allow_nan=False)
