"""XLSX as a stream of chunks, read only, so that a long sheet does not fill the memory."""

import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boundaries.read import Chunk, bad_file, check_names
from gridmap.errors import InvalidInput

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

# What openpyxl and the readers of zip and XML under it raise on a damaged workbook: it looks nowhere itself.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    OSError,
    SyntaxError,
    EOFError,
)
MOST_ROWS = 1_048_576  # of a sheet; openpyxl makes up every row before the one that a damaged file names


class SheetSource:
    """One sheet of a workbook, with a header line."""

    has_geometry = False
    crs: str | None = None

    def __init__(self, path: Path, *, sheet: str | None, chunk_rows: int) -> None:
        self.path = path
        self.notes: list[str] = []
        self._chunk_rows = chunk_rows
        with self._open() as book:
            names = [each.title for each in book.worksheets]
            if not names or (sheet is not None and sheet not in names):
                raise InvalidInput(
                    f"{path.name} has no sheet {sheet!r}; it has {', '.join(names) or 'none'}",
                    code="unknown_layer",
                )
            self._sheet = sheet or names[0]
            if sheet is None and len(names) > 1:
                self.notes.append(f"sheet {names[0]!r} of {', '.join(names)}; choose with --layer")
            header = next(self._rows(book, 1), ())
        self.columns = ["" if name is None else str(name).strip() for name in header]
        if not any(self.columns):
            raise bad_file(path, "its first row is no header of column names")
        check_names(path, self.columns)

    def chunks(self, columns: Collection[str]) -> Iterator[Chunk]:
        """The rows, with these columns only; rows without any value are passed over."""
        position = {name: at for at, name in enumerate(self.columns)}
        wanted = [(position[name], name) for name in columns]
        with self._open() as book:
            total = max(book[self._sheet].max_row or 0, 1)
            filled = (
                (line, row)
                for line, row in enumerate(self._rows(book, 2), 2)
                if any(value is not None for value in row)
            )
            while batch := list(islice(filled, self._chunk_rows)):
                values: dict[str, list[Any]] = {
                    name: [_plain(row[place]) if place < len(row) else None for _, row in batch]
                    for place, name in wanted
                }
                lines = np.fromiter((line for line, _ in batch), np.int64, len(batch))
                yield Chunk(lines, values, None, [], min(1.0, lines[-1] / total))

    @contextmanager
    def _open(self) -> Iterator["Workbook"]:
        import openpyxl  # noqa: PLC0415  # a fifth of a second

        try:
            book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
        except _DAMAGED as error:
            raise bad_file(
                self.path, f"is no readable workbook ({_said(error)}); save it as .xlsx again"
            ) from error
        try:
            yield book
        finally:
            book.close()

    def _rows(self, book: "Workbook", first: int) -> Iterator[tuple[Any, ...]]:
        sheet = book[self._sheet]
        sheet.reset_dimensions()  # some programs write a wrong extent
        try:
            yield from islice(sheet.iter_rows(min_row=first, values_only=True), MOST_ROWS)
        except _DAMAGED as error:
            raise bad_file(self.path, f"is damaged ({_said(error)}); save it as .xlsx again") from error


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").strip() or None
    return value
