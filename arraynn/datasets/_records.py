"""Reads a text file's records block by block. The csv module parses blocks with quotes; others are only checked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DataError
from ._text_blocks import BLOCK, Dialect, blocks


class Records:
    """The records of a text file below the row of names, block by block.

    Iterating yields ("text", the block's bytes, (number of its first line, number of lines)) for a block without quotes
    whose lines all have `width` cells, and ("rows", lists of cells, the line number of each) for any other block.

    width : cells of each record; None yields only the first record, which holds the names. plain : whether an earlier
        pass has found all blocks to be "text", so that they need no check.
    """

    def __init__(self, path: str, dialect: Dialect, width: int | None = None, plain: bool = False) -> None:
        self.path, self.dialect, self.width, self.plain = path, dialect, width, plain
        self.all_plain = True  #: whether all blocks so far were "text"

    def __iter__(self) -> Iterator[tuple[str, Any, Any]]:
        remainder, line, header = b"", 1, True
        for block in blocks(self.path, self.dialect, self._size()):
            block = remainder + block
            remainder = b""
            if header:
                rows, lines, used = self._parse(block, line, 1)
                if not rows:
                    remainder = block[used:]
                    line += block[:used].count(b"\n")
                    continue
                if self.width is None:
                    yield "rows", rows, lines
                    return
                line += block[:used].count(b"\n")
                block, header = block[used:], False
            count = block.count(b"\n") if self.plain else self._plain(block)
            if count:
                yield "text", block, (line, count)
                line += count
                continue
            self.all_plain = False
            rows, lines, used = self._parse(block, line, None)
            if rows:
                yield "rows", rows, lines
            remainder = block[used:]
            line += block[:used].count(b"\n")
        if remainder.strip():
            raise DataError(f"{self.path}: the quote that opens in row {line} is never closed")

    def _size(self) -> int:
        return 2**16 if self.width is None else BLOCK  # a small block is enough for the names

    def _plain(self, block: bytes) -> int:
        """The number of lines of a block without quotes whose lines all have `width` cells; 0 for any other block."""
        if b'"' in block or not block or b"\n\n" in block or block.startswith(b"\n"):
            return 0
        assert self.width is not None
        data = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(data == 10)
        marks = np.flatnonzero(data == ord(self.dialect.separator)) if ord(self.dialect.separator) < 128 else ends
        if len(marks) != len(ends) * (self.width - 1):
            return 0
        if self.width == 1:
            return 0 if block.isspace() else len(ends)
        table = marks.reshape(len(ends), self.width - 1)
        return len(ends) * bool((table[:, -1] < ends).all() and (table[1:, 0] > ends[:-1]).all())

    def _parse(self, block: bytes, line: int, limit: int | None) -> tuple[list[list[str]], list[int], int]:
        """(records, line numbers, bytes used) of all complete records, or the first `limit`, without blank lines."""
        text = io.StringIO(block.decode("utf-8"), newline="")
        reader = csv.reader(text, delimiter=self.dialect.separator, strict=True)
        rows: list[list[str]] = []
        lines: list[int] = []
        done = 0  # lines of complete records
        while limit is None or len(rows) < limit:
            try:
                row = next(reader)
            except StopIteration:
                done = reader.line_num
                break
            except csv.Error as error:
                if "unexpected end" in str(error):
                    break  # the cell may continue in the next block
                where = f"{self.path}: row {line + done}"
                if "field larger" in str(error):
                    raise DataError(
                        f"{where} holds a cell of more than 131,072 characters; is a quote not closed?"
                    ) from None
                raise DataError(f"{where} has a quote inside a quoted cell that is not doubled") from None
            at, done = line + done, reader.line_num
            if not row or (len(row) == 1 and not row[0].strip() and self.width != 1):
                continue
            if self.width is not None and len(row) != self.width and limit is None:
                cells = f"{len(row)} cell{'s' * (len(row) != 1)}"
                raise DataError(f"{self.path}: row {at} has {cells}, the row of names has {self.width}")
            rows.append(row)
            lines.append(at)
        used, end = 0, 0
        for _ in range(done):
            end = block.index(b"\n", end) + 1
        used = end
        return rows, lines, used
