"""Reads tables from CSV, TSV, Parquet, JSON lines and Excel files. Only this module imports polars (extra `tables`)."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..encoding import Column, Table, checked_names, number, of_objects
from ..errors import DataError
from ._records import Records
from ._table_file import SUFFIXES, TableFile, is_table_file, kind_of
from ._text_blocks import Dialect, blocks, dialect_of

__all__ = ["TableFile", "is_table_file", "read_table"]

MAX_ROWS = 2**17  #: rows in a chunk of a Parquet file, at most
MAX_CELLS = 2**23  #: cells in a chunk of a Parquet file, at most: with many columns, chunks have fewer rows


def polars() -> Any:
    """Import and return polars. Raises DataError, which names the extra that installs it."""
    try:
        return import_module("polars")
    except ImportError as error:
        raise DataError(f'reading tables needs polars ({error}); pip install "arraynn[tables]" installs it') from None


def read_table(
    path: str | os.PathLike[str],
    *,
    separator: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
) -> TableFile:
    """Open a table in a file: its column names, its format, and its rows in chunks.

    path : CSV or other text (.csv, .tsv, .txt, with or without .gz), Parquet, JSON lines (.jsonl), Excel (.xlsx, with
        fastexcel, which the extra installs). The first row of text and of Excel holds the names.
    separator, encoding, decimal : of text; None detects them: commas, semicolons, tabs or bars; UTF-8, UTF-16 or
        cp1252, with or without a byte-order mark; "." or ",". sheet : of Excel; None is the first.

    All cells of a text file are read as text; `TableEncoding.learn` decides which columns hold numbers or dates.
    Text, Parquet and JSON lines are read in chunks, so that a large file needs little memory.
    Raises DataError, which names the file and the row, for a file that cannot be read.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise DataError(f"{name}: there is no such file, or it is not a plain file")
    kind = kind_of(name)
    if kind is None:
        raise DataError(f"{name} has none of the endings {', '.join(SUFFIXES)}; rename it by its format")
    polars()
    if kind == "text":
        for what, value, allowed in (("separator", separator, None), ("decimal", decimal, (".", ","))):
            if value is not None and (len(value) != 1 or value in '"\n\r' or (allowed and value not in allowed)):
                raise DataError(f"{what} must be one character{' of . and ,' if allowed else ''}, got {value!r}")
        return TextFile(name, dialect_of(name, separator, encoding, decimal))
    if separator or encoding or decimal:
        raise DataError(f"{name}: separator, encoding and decimal are options of text files")
    return {"parquet": ParquetFile, "lines": LinesFile, "excel": ExcelFile}[kind](name, sheet)


class TextFile(TableFile):
    """CSV and other separated text. plain : whether a complete pass has found no block with quotes."""

    def __init__(self, path: str, dialect: Dialect) -> None:
        super().__init__(path)
        self.dialect, self.decimal, self.description = dialect, dialect.decimal, dialect.description()
        self.size, self.plain = self._size(), False
        rows = Records(path, dialect)
        header = next(iter(rows), None)
        if header is None:
            raise DataError(f"{path} is empty")
        kind, data, _ = header
        first = data[0] if kind == "rows" else data.split(b"\n", 1)[0].decode().split(dialect.separator)
        names = [cell.strip() or f"column {i}" for i, cell in enumerate(first, 1)]
        if all(number(cell) is not None for cell in first):
            raise DataError(f"{path}: its first row, {', '.join(first)[:60]}, holds numbers; add a row of column names")
        checked_names(names, path)
        self.names = tuple(names)

    def _read(self, names: Sequence[str]) -> Iterator[Table]:
        start, records = 0, Records(self.path, self.dialect, len(self.names), self.plain)
        for kind, data, lines in records:
            if kind == "rows":
                table = self._of_rows(data, lines, names, start)
            else:
                table = self._of_text(data, lines, names, start)
            if table.count:
                yield table
            start += table.count
        self.plain = (
            records.all_plain and self._size() == self.size
        )  # the pass was complete, and the file has not changed

    def _size(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_size, found.st_mtime_ns

    def _of_rows(self, rows: list[list[str]], lines: list[int], names: Sequence[str], start: int) -> Table:
        columns = {}
        for name in names:
            i = self.names.index(name)
            columns[name] = Column("text", np.asarray([*(row[i] for row in rows), None], object)[:-1], self.decimal)
        return Table(columns, len(rows), start, lambda row: self.where(lines[row] - 2))

    def _of_text(self, data: bytes, lines: tuple[int, int], names: Sequence[str], start: int) -> Table:
        first, count = lines
        columns: dict[str, Column] = {}
        if names:
            indices = sorted(self.names.index(name) for name in names)
            frame = polars().read_csv(
                io.BytesIO(data),
                has_header=False,
                separator=self.dialect.separator,
                quote_char=None,
                infer_schema=False,
                columns=indices,
            )
            found = dict(zip(indices, frame.get_columns(), strict=True))
            columns = {name: TextColumn("text", found[self.names.index(name)], self.decimal) for name in names}
        return Table(columns, count, start, lambda row: self.where(first + row - 2))


class FrameFile(TableFile):
    """A file that polars reads into a data frame."""

    def table(self, frame: Any, start: int) -> Table:
        """The frame as a Table. start : the index of its first row in the file."""
        columns = {name: self._column(name, frame[name], start) for name in frame.columns}
        return Table(columns, frame.height, start, lambda row: self.where(start + row))

    def _column(self, name: str, series: Any, start: int) -> Column:
        pl = polars()
        kind = series.dtype
        if kind == pl.Null:
            return Column("text", np.full(len(series), None, object))
        if kind == pl.String:
            return TextColumn("text", series)
        if kind in (pl.Categorical, pl.Enum):
            return TextColumn("text", series.cast(pl.String))
        if kind == pl.Boolean:
            return Column("flag", series.cast(pl.Float64).to_numpy())
        if kind in (pl.Date, pl.Datetime):
            naive = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if _zone(kind) else series
            moments = naive.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64) / 1e6
            return Column("date", moments.to_numpy())
        if kind.is_numeric():
            return Column("number", series.cast(pl.Float64).to_numpy())
        raise DataError(
            f"{self.path}: column {name!r} is of type {kind}; a column must hold numbers, text, booleans or dates"
        )

    def failed(self, error: Exception) -> DataError:
        """A DataError with polars' message in one line."""
        return DataError(f"{self.path} cannot be read: {' '.join(str(error).split())[:200]}")


def _zone(kind: Any) -> Any:
    return getattr(kind, "time_zone", None)


class ParquetFile(FrameFile):
    """A Parquet file, read in chunks."""

    description = "Parquet"

    def __init__(self, path: str, sheet: str | None = None) -> None:
        super().__init__(path)
        self.frame = self._with_clear_errors(lambda: polars().scan_parquet(path, glob=False))
        self.names = tuple(self._with_clear_errors(lambda: self.frame.collect_schema().names()))
        checked_names(self.names, path)

    def _with_clear_errors(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except polars().exceptions.PolarsError as error:
            raise self.failed(error) from None
        except OSError as error:
            raise self.failed(error) from None

    def _read(self, names: Sequence[str]) -> Iterator[Table]:
        pl = polars()
        count = self._with_clear_errors(lambda: self.frame.select(pl.len()).collect().item())
        if not names:
            yield Table({}, count)
            return
        step = max(1, min(MAX_ROWS, MAX_CELLS // len(names)))
        for start in range(0, count, step):
            part = self.frame.select(names).slice(start, step)
            yield self.table(self._with_clear_errors(part.collect), start)

    def where(self, row: int) -> str:
        """How messages name a row: counted from 1, as Parquet has no row of names."""
        return f"row {row + 1} of {os.path.basename(self.path)}"


class LinesFile(ParquetFile):
    """JSON lines, one object per line, read in chunks. The columns are those of all lines together."""

    description = "JSON lines"

    def __init__(self, path: str, sheet: str | None = None) -> None:
        TableFile.__init__(self, path)
        self.dialect = dialect_of(path, ",", None, ".")
        kinds: dict[str, set[type]] = {}
        for row in self._objects():
            for name, value in row.items():
                kinds.setdefault(name, set()).add(type(value))
        self.names = tuple(kinds)
        checked_names(self.names, path)

    def _objects(self) -> Iterator[dict[str, Any]]:
        line = 0
        for block in blocks(self.path, self.dialect):
            for text in block.decode("utf-8").split("\n")[:-1]:
                line += 1
                if not text.strip():
                    continue
                try:
                    row = json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{self.path}: row {line} is not JSON: {error}") from None
                if not isinstance(row, dict):
                    raise DataError(f"{self.path}: row {line} is not an object of names and values, but {text[:40]}")
                yield row

    def _read(self, names: Sequence[str]) -> Iterator[Table]:
        rows: list[dict[str, Any]] = []
        start = 0
        for row in self._objects():
            rows.append(row)
            if len(rows) * max(len(self.names), 1) >= MAX_CELLS // 8:
                yield self._of(rows, names, start)
                start, rows = start + len(rows), []
        if rows:
            yield self._of(rows, names, start)

    def _of(self, rows: list[dict[str, Any]], names: Sequence[str], start: int) -> Table:
        def where(row: int) -> str:
            return self.where(start + row)

        columns = {name: of_objects(name, [row.get(name) for row in rows], where) for name in names}
        return Table(columns, len(rows), start, where)


class ExcelFile(FrameFile):
    """A sheet of an Excel workbook, read as a whole."""

    def __init__(self, path: str, sheet: str | None = None) -> None:
        super().__init__(path)
        options = {} if sheet is None else {"sheet_name": sheet}
        try:
            import_module("fastexcel")
        except ImportError:
            raise DataError('reading Excel needs fastexcel; pip install "arraynn[tables]" installs it') from None
        try:
            self.frame = polars().read_excel(path, engine="calamine", infer_schema_length=None, **options)
        except Exception as error:  # fastexcel, polars and damaged archives raise many types
            raise self.failed(error) from None
        self.description = "Excel" if sheet is None else f"Excel, sheet {sheet!r}"
        self.names = tuple(self.frame.columns)
        checked_names(self.names, path)

    def _read(self, names: Sequence[str]) -> Iterator[Table]:
        if self.frame.height:
            yield self.table(self.frame.select(names) if names else self.frame, 0)


class TextColumn(Column):
    """A text column stored by polars: it gives the same results as `Column`, faster."""

    def take(self, rows: Any) -> Column:
        """The rows selected by a mask, a slice, or an array of indices."""
        if isinstance(rows, slice):
            return TextColumn(self.kind, self.values[rows], self.decimal)
        rows = np.asarray(rows)
        indices = np.flatnonzero(rows) if rows.dtype == bool else rows
        return TextColumn(self.kind, self.values.gather(indices), self.decimal)

    def factorized(self, rows: Any = slice(None)) -> tuple[list[str | None], np.ndarray]:
        """(the distinct values, None last; for each row the index of its value)."""
        pl = polars()
        series = self.values if isinstance(rows, slice) and rows == slice(None) else self.take(rows).values
        words = series.drop_nulls().unique(maintain_order=True)
        indices = series.cast(pl.Enum(words)).to_physical().cast(pl.Int64).fill_null(len(words))
        return [*words.to_list(), None], indices.to_numpy()

    def parsed_fast(self, decimal: str) -> np.ndarray | None:
        """The texts as numbers, nan where polars reads none."""
        pl = polars()
        texts = self.values
        if decimal == ",":
            mixed = texts.str.contains(".", literal=True)
            texts = texts.str.replace(",", ".", literal=True).set(mixed, None)
        found: np.ndarray = texts.cast(pl.Float64, strict=False).to_numpy(writable=True)
        return found

    def beginning_with_zero(self) -> list[str]:
        """The distinct texts that begin with a zero and another digit."""
        found: list[str] = self.values.filter(self.values.str.contains(r"^\s*[+-]?0[0-9]")).unique().to_list()
        return found
