"""CSV parts: read in blocks of bounded size by pyarrow, every cell as text, in the encoding and with the delimiter of params.yaml.

Nothing is guessed. What cannot be read is looked at a second time, line by line, to say where.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from seatrial.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from seatrial.params import Data
    from seatrial.sources import Part

BLOCK = 16 * 2**20
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
CODECS = {".gz": "gzip", ".zst": "zstd"}
MEND = "mend the row, or write the file again"


def header_of(part: Part, data: Data) -> list[str]:
    """The names of the columns; DataError where they show that this is not the file that params.yaml describes."""
    with _text(part, data) as lines:
        try:
            names = next(csv.reader(lines, delimiter=data.delimiter), [])
        except csv.Error as error:
            raise DataError(f"{part.name}:1: not CSV: {error}") from None
    if not any(name.strip() for name in names):
        raise DataError(f"{part.name} has no header in its first line", hint="the first line must name the columns")
    _refuse_names(part, data, names)
    return names


def _refuse_names(part: Part, data: Data, names: list[str]) -> None:
    if len(names) == 1:
        for other, word in DELIMITERS.items():
            if other != data.delimiter and other in names[0]:
                raise DataError(
                    f"{part.name}:1: one column, {names[0][:60]!r}: this file seems to be separated by {word} ({other!r})",
                    hint=f"say so in params.yaml: data.delimiter: {other!r}",
                )
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DataError(f"{part.name}:1: the column {twice!r} stands there twice", hint="give each column a name of its own")


def read(part: Part, data: Data, rows: int) -> Iterator[pl.DataFrame]:
    """The part's rows in order, all cells as text; a missing cell is empty text."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.csv as arrow

    names = header_of(part, data)
    options = {
        "read_options": arrow.ReadOptions(block_size=BLOCK),
        "parse_options": arrow.ParseOptions(delimiter=data.delimiter, newlines_in_values=True),
        "convert_options": arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False, check_utf8=False
        ),
    }
    with _bytes(part, data) as stream:
        try:
            reader = arrow.open_csv(pa.PythonFile(stream, mode="r"), **options)
            for batch in reader:
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield from frame.iter_slices(rows)
        except pa.ArrowException as error:
            raise _broken(part, data, len(names)) or _unexplained(part, error) from None
    if stream.quotes % 2 and (problem := _broken(part, data, len(names))):
        raise problem  # pyarrow takes an open quote at the end for a cell


def _broken(part: Part, data: Data, width: int) -> DataError | None:
    """Where the file stops being CSV, by reading it again line by line."""
    with _text(part, data) as lines:
        reader = csv.reader(lines, delimiter=data.delimiter, strict=True)
        start = 1
        try:
            for row in reader:
                if row and len(row) != width:
                    fields = f"{len(row)} {'field' if len(row) == 1 else 'fields'}"
                    return DataError(f"{part.name}:{start}: this row has {fields}, the header has {width}", hint=MEND)
                start = reader.line_num + 1
        except csv.Error as problem:
            opened = " (a quote is opened there and never closed)" if "unexpected end" in str(problem) else ""
            return DataError(f"{part.name}:{start}: not CSV: {problem}{opened}", hint=MEND)
    return None


def _unexplained(part: Part, error: Exception) -> DataError:
    if "straddling" in str(error):
        return DataError(f"{part.name}: one row is longer than {BLOCK // 2**20} MiB", hint="leave that column out of the table")
    return DataError(f"{part.name} cannot be read as CSV: {str(error).splitlines()[0]}")


@contextmanager
def _text(part: Part, data: Data) -> Iterator[Iterator[str]]:
    """The part's text, line by line, cells of any size allowed."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        with _bytes(part, data) as stream, io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig", newline="") as lines:
            yield lines
    finally:
        csv.field_size_limit(before)


@contextmanager
def _bytes(part: Part, data: Data) -> Iterator[_Utf8]:
    """The part's text as UTF-8, unpacked and checked while it is read."""
    with _stored(part, data) as stored:
        yield _Utf8(stored, part.name, data.encoding, packed=_codec(part) is not None)


@contextmanager
def _stored(part: Part, data: Data) -> Iterator[Any]:
    import pyarrow as pa

    with _file(part, data) as file:
        codec = _codec(part)
        yield file if codec is None else pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec)


@contextmanager
def _file(part: Part, data: Data) -> Iterator[IO[bytes]]:
    if part.remote:
        from seatrial.object_store import opened

        with opened(part) as stream:
            yield stream
        return
    with Path(part.location).open("rb") as stream:
        yield stream


def _codec(part: Part) -> str | None:
    return CODECS.get(Path(part.name).suffix.lower())


class _Utf8(io.RawIOBase):
    """A stream of text in any encoding, given as UTF-8; refuses NUL and what is not of the encoding, with its line.

    `quotes` counts the quotation marks that went by.
    """

    def __init__(self, stored: Any, name: str, encoding: str, *, packed: bool) -> None:
        self._stored = stored
        self._name = name
        self._encoding = encoding
        self._packed = packed
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._line = 1
        self.quotes = 0
        self._ready = b""

    def readable(self) -> bool:
        """It is only read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer."""
        view = memoryview(buffer).cast("B")
        if not self._ready:
            self._ready = self._more(max(len(view), 2**16))
        size = min(len(view), len(self._ready))
        view[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def read(self, size: int = -1) -> bytes:
        """Some bytes, none at the end."""
        if not self._ready:
            self._ready = self._more(size if size > 0 else BLOCK)
        if size < 0 or size >= len(self._ready):
            ready, self._ready = self._ready, b""
        else:
            ready, self._ready = self._ready[:size], self._ready[size:]
        return ready

    def _more(self, size: int) -> bytes:
        """The next piece of text that is not empty, as UTF-8."""
        while True:
            chunk = self._chunk(size)
            text = self._decoded(chunk)
            if text or not chunk:
                break
        encoded = text.encode()
        at = encoded.find(b"\0")
        if at >= 0:
            line = self._line + encoded.count(b"\n", 0, at)
            raise DataError(
                f"{self._name}:{line}: a NUL byte, which no text has",
                hint="the file is damaged, or of another encoding: data.encoding in params.yaml",
            )
        self._line += encoded.count(b"\n")
        self.quotes += encoded.count(b'"')
        return encoded

    def _chunk(self, size: int) -> bytes:
        try:
            return bytes(self._stored.read(size))
        except (OSError, EOFError) as error:
            reason = "it is truncated or damaged" if self._packed else str(error)
            raise DataError(f"{self._name} cannot be unpacked to its end: {reason}", hint="fetch it again: dvc pull") from None

    def _decoded(self, chunk: bytes) -> str:
        try:
            return self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line = self._line + error.object[: error.start].count(b"\n")
            raise DataError(
                f"{self._name}:{line}: not {self._encoding}: byte 0x{error.object[error.start]:02x}",
                hint="save it in that encoding, or say its own in params.yaml: data.encoding",
            ) from None
