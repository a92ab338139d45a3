"""Reads a table's text file as blocks of whole lines in UTF-8; detects encoding, separator and decimal mark."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import DataError

BLOCK = 2**22  #: bytes read at a time
HEAD = 2**16  #: bytes from which separator and decimal mark are detected
SEPARATORS = ",;\t|"
LONGEST = 2**26  #: bytes of one line, at most

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Dialect:
    """The format of a text file. bom : length of its byte-order mark. decimal : "." or ","."""

    encoding: str
    bom: int
    separator: str
    decimal: str
    packed: bool

    def description(self) -> str:
        """The format as text for the user."""
        names = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
        parts = [f"{names.get(self.separator, repr(self.separator))} between cells", self.encoding]
        parts += ["a byte-order mark"] if self.bom else []
        parts += ["decimal commas"] if self.decimal == "," else []
        parts += ["gzip"] if self.packed else []
        return ", ".join(parts)


def dialect_of(path: str, separator: str | None, encoding: str | None, decimal: str | None) -> Dialect:
    """Detect the dialect of a file; given options are not detected. Raises DataError if it is empty or not text."""
    packed = _packed(path)
    try:
        with open_bytes(path, packed) as file:
            head = file.read(HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not head:
        raise DataError(f"{path} is empty")
    bom, found = next(((len(mark), name) for mark, name in _BOMS if head.startswith(mark)), (0, ""))
    found = found or _utf16_without_bom(head)
    if encoding is None:
        encoding = found or ("utf-8" if _is_utf8(path, packed) else "cp1252")
    try:
        encoding = codecs.lookup(encoding).name
        if encoding == "utf-8" and not _is_utf8(path, packed):
            raise DataError(f"{path} is not in utf-8; try --encoding cp1252")
        text = codecs.getincrementaldecoder(encoding)().decode(head[bom:])
    except LookupError:
        raise DataError(f"there is no encoding {encoding!r}; try utf-8, cp1252 or utf-16-le") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in {encoding}: {error.reason} at byte {error.start + bom}") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path}: row {line} holds a null character; the file is not text, or it is damaged")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{path} is empty")
    text = text if len(head) < HEAD else text.rpartition("\n")[0] or text
    if separator is None:
        separator = "\t" if _stem(path).endswith((".tsv", ".tab")) else _separator(text)
    return Dialect(encoding, bom, separator, decimal or _decimal(text, separator), packed)


def open_bytes(path: str, packed: bool) -> BinaryIO:
    """Open the file for reading its bytes, unpacked if it is gzip."""
    return gzip.open(path, "rb") if packed else open(path, "rb")  # type: ignore[return-value]


def blocks(path: str, dialect: Dialect, size: int = BLOCK) -> Iterator[bytes]:
    """Whole lines as UTF-8, each ended by \\n, about `size` bytes at a time. A quoted cell may span two blocks.

    Raises DataError for bytes that are not in the encoding, and for a null character.
    """
    kept, row = bytearray(), 1
    for data in _utf8(path, dialect, size):
        if 0 in data:
            row += data[: data.index(0)].count(b"\n") + kept.count(b"\n")
            raise DataError(f"{path}: row {row} holds a null character; the file is not text, or it is damaged")
        kept += data
        end = kept.rfind(b"\n") + 1
        if end:
            with memoryview(kept) as view:
                whole = bytes(view[:end])
            row += whole.count(b"\n")
            yield whole
            del kept[:end]
        elif len(kept) > LONGEST:
            raise DataError(f"{path}: row {row} is longer than {LONGEST:,} bytes; is this a table?")
    if kept.strip():
        yield bytes(kept) + b"\n"


def _utf8(path: str, dialect: Dialect, size: int) -> Iterator[bytes]:
    plain = dialect.encoding in ("utf-8", "ascii")
    decoder = codecs.getincrementaldecoder("utf-8" if plain else dialect.encoding)()
    at, held = dialect.bom, b""
    try:
        with open_bytes(path, dialect.packed) as file:
            file.read(dialect.bom)
            while data := file.read(size):
                if not plain:
                    data = decoder.decode(data).encode("utf-8")
                data = held + data
                held = data[-1:] if data.endswith(b"\r") else b""  # its \n may be in the next block
                data = data[:-1] if held else data
                yield data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
                at += size
            tail = decoder.decode(b"", final=True).encode("utf-8") if not plain else b""
            yield tail + (b"\n" if held else b"")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in {dialect.encoding}: {error.reason} near byte {at + error.start}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _packed(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _stem(path: str) -> str:
    name = os.path.basename(path).lower()
    return name.removesuffix(".gz")


def _utf16_without_bom(head: bytes) -> str:
    """The encoding if the file is UTF-16 without a byte-order mark: every second byte of plain text is 0. Else ""."""
    if (len(head) >= 4 and len(head) % 2 == 0) or len(head) == HEAD:
        even, odd = head[0:1024:2], head[1:1024:2]
        if odd.count(0) > 0.4 * len(odd) and not even.count(0):
            return "utf-16-le"
        if even.count(0) > 0.4 * len(even) and not odd.count(0):
            return "utf-16-be"
    return ""


def _is_utf8(path: str, packed: bool) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path, packed) as file:
            while data := file.read(2**20):
                if not data.isascii() or decoder.getstate()[0]:
                    decoder.decode(data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    return True


def _separator(text: str) -> str:
    """The separator that splits most lines into the same number of cells, more than one."""
    best, score = ",", (0.0, 0)
    for mark in SEPARATORS:
        try:
            widths = Counter(len(row) for row in csv.reader(io.StringIO(text), delimiter=mark) if row)
        except csv.Error:
            continue
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        own = (count / widths.total(), width)
        if width > 1 and own > score:
            best, score = mark, own
    return best


_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")


def _decimal(text: str, separator: str) -> str:
    """The decimal mark: a comma if cells are numbers with a comma, not all in groups of three digits, else a point.

    A cell that is a number with a point makes it a point.
    """
    cells: list[Any] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=separator):
            cells += [cell.strip() for cell in row]
    except csv.Error:
        return "."
    commas = [cell for cell in cells if _COMMA.fullmatch(cell)]
    if not commas or any(_POINT.fullmatch(cell) for cell in cells):
        return "."
    return "." if separator == "," and all(_THOUSANDS.fullmatch(cell) for cell in commas) else ","
