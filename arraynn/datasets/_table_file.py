"""`TableFile`: the base class of tables in files, with their number of rows and their rows in chunks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ..encoding import Table

SUFFIXES = {".csv": "text", ".tsv": "text", ".tab": "text", ".txt": "text", ".parquet": "parquet", ".pq": "parquet"}
SUFFIXES |= {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
KEPT = 2**24  #: largest file, in bytes, whose rows are kept in memory


def is_table_file(path: str | os.PathLike[str]) -> bool:
    """Whether the name has the ending of a table: .csv, .tsv, .parquet, .jsonl, .xlsx …; text also with .gz added."""
    return kind_of(os.fspath(path)) is not None


def kind_of(path: str) -> str | None:
    """The kind of a table file by the ending of its name: text, parquet, lines or excel; None for any other file."""
    name = path.lower()
    packed = name.endswith(".gz")
    kind = SUFFIXES.get(os.path.splitext(name.removesuffix(".gz"))[1])
    return None if packed and kind != "text" else kind


class TableFile:
    """A table in a file. names : of its columns. decimal : decimal mark of its texts. description : its format."""

    decimal = "."
    description = ""

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: tuple[str, ...] = ()
        self._count: int | None = None
        self._kept: list[Table] | None = None

    @property
    def count(self) -> int:
        """The number of rows below the names. The file is read once to count them."""
        if self._count is None:
            if os.path.getsize(self.path) <= KEPT and not self.path.lower().endswith(".gz"):
                self._kept = list(self._read(self.names))
                self._count = sum(chunk.count for chunk in self._kept)
            else:
                self._count = sum(chunk.count for chunk in self._read(()))
        return self._count

    def chunks(self, names: Sequence[str] | None = None) -> Iterator[Table]:
        """The rows in chunks, with these columns, or with all."""
        if self._kept is not None:
            yield from self._kept
        else:
            yield from self._read(self.names if names is None else names)

    def _read(self, names: Sequence[str]) -> Iterator[Table]:
        raise NotImplementedError(f"{type(self).__name__} must define _read")

    def where(self, row: int) -> str:
        """How messages name a row; the row of names is row 1."""
        return f"row {row + 2} of {os.path.basename(self.path)}"
