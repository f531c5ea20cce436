"""XLSX as a stream of chunks, read only, so that a long sheet does not fill the memory."""

import zipfile
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from boundaries.read import Chunk, bad_file
from gridmap.errors import InvalidInput


class SheetSource:
    """One sheet of a workbook, with a header line."""

    has_geometry = False
    crs: str | None = None

    def __init__(self, path: Path, *, sheet: str | None, chunk_rows: int) -> None:
        # openpyxl takes a fifth of a second to import
        import openpyxl  # noqa: PLC0415

        self.path = path
        self.notes: list[str] = []
        self._chunk_rows = chunk_rows
        try:
            self._book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        except (zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
            raise bad_file(path, f"is no readable workbook ({error}); save it as .xlsx again") from error
        names = [each.title for each in self._book.worksheets]
        if sheet is not None and sheet not in names:
            raise InvalidInput(
                f"{path.name} has no sheet {sheet!r}; it has {', '.join(names)}", code="unknown_layer"
            )
        self._sheet = self._book[sheet] if sheet else self._book.worksheets[0]
        if sheet is None and len(names) > 1:
            self.notes.append(f"sheet {names[0]!r} of {', '.join(names)}; choose with --layer")
        self._sheet.reset_dimensions()  # some programs write a wrong extent
        header = next(self._sheet.iter_rows(values_only=True), ())
        self.columns = ["" if name is None else str(name).strip() for name in header]
        if not any(self.columns):
            raise bad_file(path, "its first row is no header of column names")
        twice = sorted({name for name in self.columns if name and self.columns.count(name) > 1})
        if twice:
            raise bad_file(path, f"has the column {', '.join(twice)} more than once; rename one")

    def chunks(self, columns: Collection[str]) -> Iterator[Chunk]:
        """The rows, with these columns only; rows without any value are passed over."""
        wanted = [(self.columns.index(name), name) for name in columns]
        total = max(self._sheet.max_row or 0, 1)
        rows = ((line, row) for line, row in enumerate(self._rows(), 2) if any(v is not None for v in row))
        while batch := list(islice(rows, self._chunk_rows)):
            values: dict[str, list[Any]] = {
                name: [_plain(row[place]) if place < len(row) else None for _, row in batch]
                for place, name in wanted
            }
            lines = np.fromiter((line for line, _ in batch), np.int64, len(batch))
            yield Chunk(lines, values, None, [], min(1.0, lines[-1] / total))

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._sheet.iter_rows(min_row=2, values_only=True)
        except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError, EOFError) as error:
            raise bad_file(self.path, f"is damaged ({error}); save it as .xlsx again") from error


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").strip() or None
    return value
