"""Which encoding a text was written in: strict UTF-8 first, then GB18030 where it reads like Chinese.

Half a UTF-8 character is nearly always a valid pair of bytes in GB18030 too (E4 B8 reads 涓), so "it
decodes" proves nothing. What tells them apart: nine in ten characters of real Chinese text stand among the
3,755 of GB 2312's first level, whose first byte is B0 to D7, while UTF-8 begins a Chinese character with
E4 to E9.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from gridmap.errors import InvalidInput

BLOCK = 1 << 20
ENOUGH_PAIRS = 20_000  # a sample that decides; pairs are looked at one by one
SURELY = 3  # characters of three bytes and more, none broken
SAID_UNSEEN = frozenset(
    {"utf-8", "iso8859-1", "cp1252", "ascii"}
)  # what is written where nobody thought of it
_WIDE = re.compile("[\u0800-\U0010ffff]")
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

Verdict = Literal["utf-8", "gb18030", "broken"]


@dataclass(frozen=True)
class Evidence:
    """What a sample of bytes beyond ASCII looks like.

    Attributes:
        characters: complete UTF-8 characters of three bytes and more, as Chinese ones are; those of two are
            no evidence, since pairs such as D2 BB (一 in GBK) make them by chance.
        errors: places that are no UTF-8.
        pairs: pairs of bytes as GB18030 would read them.
        common: pairs that are common Chinese characters or punctuation.
    """

    characters: int = 0
    errors: int = 0
    pairs: int = 0
    common: int = 0

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.characters + other.characters,
            self.errors + other.errors,
            self.pairs + other.pairs,
            self.common + other.common,
        )

    @property
    def verdict(self) -> Verdict:
        """UTF-8, GB18030, or neither as a whole."""
        if not self.errors:
            return "utf-8"
        # Of the leading bytes B0 to D7 nearly half cannot begin a UTF-8 character: in real GBK errors abound.
        if self.errors > max(self.characters, self.pairs // 8) and self.common >= 0.6 * self.pairs:
            return "gb18030"
        return "broken"


def weigh(data: bytes) -> Evidence:
    """Evidence from a piece of text that begins and ends at a character, a line for example."""
    if data.isascii():
        return Evidence()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        errors = text.count("\ufffd")
        return Evidence(len(_WIDE.findall(text)) - errors, errors, *_pairs(data))
    return Evidence(len(_WIDE.findall(text)))


def _pairs(data: bytes) -> tuple[int, int]:
    pairs = common = position = 0
    while position < len(data):
        lead = data[position]
        if lead < 0x80:
            position += 1
            continue
        trail = data[position + 1] if position + 1 < len(data) else 0
        pairs += 1
        if trail >= 0xA1 and (0xB0 <= lead <= 0xD7 or 0xA1 <= lead <= 0xA3):
            common += 1
        position += 4 if 0x30 <= trail <= 0x39 else 2
    return pairs, common


def known(encoding: str) -> str:
    """The canonical name of an encoding that the caller named; GBK and GB2312 widen to GB18030.

    Raises:
        InvalidInput: there is no such encoding.
    """
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:  # ValueError: a NUL in the name, as a broken .cpg may hold
        raise InvalidInput(
            f"--encoding {encoding!r} is no known encoding; for example utf-8, gb18030, latin1",
            code="unknown_encoding",
        ) from error
    return "gb18030" if name in {"gbk", "gb2312", "cp936"} else name


def detect(stream: IO[bytes], file: str) -> str:
    """The encoding of a text file, read once from its beginning to its end.

    Returns:
        `utf-8`, `utf-8-sig`, `utf-16` or `gb18030`. Text that is UTF-8 save for a few broken characters is
        `utf-8`: the rows that hold them are refused one by one.

    Raises:
        InvalidInput: neither; the message names the first line that is no UTF-8.
    """
    evidence, first_bad, line = Evidence(), 0, 1
    head = stream.read(4)
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    for block in _whole_lines(head, stream):
        found = weigh(block)
        if found.errors and not first_bad:
            first_bad = line + _first_bad_line(block)
        evidence += found
        line += block.count(b"\n")
        if evidence.pairs > ENOUGH_PAIRS:
            break
    return settle(evidence, f"{file}, line {first_bad}")


def settle(evidence: Evidence, place: str) -> str:
    """An encoding from evidence.

    Raises:
        InvalidInput: neither UTF-8 nor Chinese.
    """
    verdict = evidence.verdict
    if verdict == "broken" and evidence.errors > evidence.characters:
        raise InvalidInput(
            f"{place}: bytes that are no UTF-8 and do not read as Chinese (GB18030) either."
            " Name the encoding, for example --encoding latin1, or save the file as UTF-8",
            code="bad_encoding",
        )
    return "utf-8" if verdict == "broken" else verdict


def decode_cut(data: bytes, encoding: str, most: int) -> str:
    """Text of at most so many bytes; half a character where it was cut is dropped.

    Raises:
        UnicodeDecodeError: bytes of another encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    return decoder.decode(data, final=len(data) < most)


def contradicted(stated: str, evidence: Evidence) -> str | None:
    """The encoding that texts are in although their file says another; None where nothing speaks against it.

    Programs write `.cpg` files by their own settings, not by the texts: UTF-8 or Latin-1 beside GBK, GBK beside UTF-8.
    """
    found = evidence.verdict
    if found == "gb18030" and stated in SAID_UNSEEN:
        return found
    # a text of any other encoding is whole characters of UTF-8 only by chance
    if found == "utf-8" and evidence.characters >= SURELY and stated != "utf-8":
        return found
    return None


def _whole_lines(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    rest = head
    while block := stream.read(BLOCK):
        rest += block
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _first_bad_line(block: bytes) -> int:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        return block.count(b"\n", 0, error.start)
    return 0


def check_text(path: Path) -> None:
    """A file that must be UTF-8 as a whole (GeoJSON): names the line of the first byte that is not.

    Raises:
        InvalidInput: half a character.
    """
    line = 1
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as stream:
        while True:
            block = stream.read(BLOCK)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                raise InvalidInput(
                    f"{path.name}, line {line}: half a UTF-8 character or bytes of another encoding;"
                    " GeoJSON is always UTF-8, save it as such",
                    code="bad_encoding",
                    findings=[{"file": path.name, "row": line, "message": "not UTF-8"}],
                ) from error
            if not block:
                return
            line += block.count(b"\n")
