"""CSV as a stream of chunks: any delimiter, UTF-8, UTF-16 or GB18030, gzip, quoted line breaks.

Python's own reader is used on purpose: it knows the line on which a record ends, and at two microseconds a
row it is a small part of a load.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from boundaries import encodings
from boundaries.findings import Finding, shorten
from boundaries.read import Chunk, bad_file, check_names
from gridmap.errors import InvalidInput

LONGEST_FIELD = 64 << 20  # a polygon as WKT; more is a quote that was never closed
DELIMITERS = ",;\t|"

Record = tuple[int, list[str]]


class CsvSource:
    """A delimited text file with a header line."""

    has_geometry = False
    crs: str | None = None

    def __init__(self, path: Path, *, encoding: str | None, chunk_rows: int) -> None:
        self.path = path
        self.notes: list[str] = []
        self._chunk_rows = chunk_rows
        self._size = path.stat().st_size
        try:
            with self._open() as (stream, _):
                self._encoding = encoding or encodings.detect(stream, path.name)
        except (OSError, EOFError, zlib.error) as error:
            raise bad_file(path, f"cannot be unpacked ({error}); copy or export it again") from error
        if self._encoding not in {"utf-8", "utf-8-sig"} and encoding is None:
            self.notes.append(f"encoding detected: {self._encoding}")
        self.columns = self._header()

    def chunks(self, columns: Collection[str]) -> Iterator[Chunk]:
        """The rows, with these columns only; an empty cell is None."""
        position = {name: at for at, name in enumerate(self.columns)}
        wanted = [(position[name], name) for name in columns]
        try:
            with self._open() as (stream, file):
                records = self._records(stream)
                while batch := list(islice(records, self._chunk_rows)):
                    yield self._chunk(batch, wanted, min(1.0, file.tell() / self._size))
        except (OSError, EOFError, zlib.error) as error:
            raise bad_file(self.path, f"is cut short ({error}); copy or export it again") from error

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """The bytes of the text, and the file itself, whose position tells how far the reading is."""
        with self.path.open("rb") as file:
            if self.path.suffix.lower() != ".gz":
                yield file, file
                return
            with gzip.open(file) as unpacked:
                yield cast("IO[bytes]", unpacked), file

    def _text(self, raw: IO[bytes]) -> io.TextIOWrapper:
        # surrogateescape keeps broken bytes recognisable, so that their rows can be named
        errors = "strict" if self._encoding == "utf-16" else "surrogateescape"
        return io.TextIOWrapper(raw, encoding=self._encoding, errors=errors, newline="")

    def _header(self) -> list[str]:
        with self._open() as (raw, _):
            try:
                text = self._text(raw)
                line = text.readline(1 << 20)
                text.detach()
            except (UnicodeError, OSError) as error:
                raise bad_file(self.path, f"cannot be read as {self._encoding}: {error}") from error
        self._delimiter = max(DELIMITERS, key=line.count) if line else ","
        try:
            names = next(csv.reader([line], delimiter=self._delimiter, strict=True), [])
        except csv.Error as error:
            raise bad_file(self.path, f"its first line is no header of column names: {error}") from error
        names = [name.strip() for name in names]
        if "\0" in line or not any(names):
            raise bad_file(self.path, "its first line is no header of column names; is it a CSV file?")
        if _is_broken(line):
            raise InvalidInput(
                f"{self.path.name}, line 1: the header is not {self._encoding}; name the --encoding",
                code="bad_encoding",
            )
        check_names(self.path, names)
        return names

    def _records(self, raw: IO[bytes]) -> Iterator[Record]:
        csv.field_size_limit(LONGEST_FIELD)
        text = self._text(raw)
        reader = csv.reader(text, delimiter=self._delimiter)
        line = 0
        try:
            next(reader, None)
            line = reader.line_num
            for record in reader:
                if record:
                    yield line + 1, record
                line = reader.line_num
        except csv.Error as error:
            raise bad_file(self.path, f"line {line + 1}: {error} (a quote that is never closed?)") from error
        except UnicodeError as error:
            raise bad_file(self.path, f"after line {line}: cannot be read as {self._encoding}") from error
        finally:
            with suppress(ValueError):  # closed already, where an error ended the reading
                text.detach()  # the file is closed by who opened it

    def _chunk(self, batch: list[Record], wanted: list[tuple[int, str]], fraction: float) -> Chunk:
        width = len(self.columns)
        problems: list[Finding] = []
        good: list[Record] = []
        for line, record in batch:
            if len(record) > width and not any(record[width:]):
                del record[width:]  # spreadsheets end lines with spare delimiters
            if len(record) == width:
                good.append((line, record))
            else:
                problems.append(self._bad_row(line, len(record)))
        if _is_broken("".join(map("".join, (record for _, record in good)))):
            good, broken = self._sort_out(good)
            problems += broken
        rows = np.fromiter((line for line, _ in good), np.int64, len(good))
        columns: dict[str, list[Any]] = {
            name: [record[position].strip() or None for _, record in good] for position, name in wanted
        }
        return Chunk(rows, columns, None, problems, fraction)

    def _bad_row(self, line: int, found: int) -> Finding:
        message = f"{found} values where the header names {len(self.columns)} columns"
        return Finding("bad_row", message, file=self.path.name, row=line)

    def _sort_out(self, records: list[Record]) -> tuple[list[Record], list[Finding]]:
        good: list[Record] = []
        problems: list[Finding] = []
        for line, record in records:
            bad = next((place for place, value in enumerate(record) if _is_broken(value)), None)
            if bad is None:
                good.append((line, record))
                continue
            problems.append(
                Finding(
                    "bad_encoding",
                    f"half a character: bytes that are not {self._encoding}",
                    file=self.path.name,
                    row=line,
                    field=self.columns[bad],
                    value=shorten(record[bad]),
                )
            )
        return good, problems


def _is_broken(text: str) -> bool:
    """Whether bytes that fit no character, or a NUL that no database stores, were carried into a text."""
    if "\0" in text:
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
