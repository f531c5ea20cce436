"""Pictures keep what they show, upright, and nothing else; what is no picture is refused in words."""

import io
import struct

import pytest
from PIL import Image, ImageChops

from gridmap import pictures
from gridmap.attachment_kinds import kind_of
from gridmap.errors import InvalidInput, NotPossible, Unavailable
from gridmap.picture_cleaning import Refused, cleaned
from tests.bench.pictured import SECRET, crafted, drawn, film, picture, png

KINDS = ("jpeg", "png", "webp")
MOST = {"most_pixels": 10_000, "most_bytes": 100_000}


def parts(kind: str, content: bytes) -> set[bytes]:
    """Names of what a file is made of."""
    names, at = set(), {"jpeg": 2, "png": 8, "webp": 12}[kind]
    while at < len(content):
        if kind == "jpeg":
            names.add(content[at : at + 2])
            if content[at + 1] == 0xDA:
                return names
            at += 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]
        elif kind == "png":
            names.add(content[at + 4 : at + 8])
            at += 12 + struct.unpack(">I", content[at : at + 4])[0]
        else:
            names.add(content[at : at + 4])
            length = struct.unpack("<I", content[at + 4 : at + 8])[0]
            at += 8 + length + length % 2
    return names


BARE = {
    "jpeg": {b"\xff\xe0", b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"},
    "png": {b"IHDR", b"IDAT", b"IEND"},
    "webp": {b"VP8 "},
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_pixels_are_kept(kind):
    sent = picture(kind)
    assert parts(kind, sent) > BARE[kind]
    assert SECRET.encode() in sent
    kept = cleaned(sent, kind, **MOST)
    assert parts(kind, kept) == BARE[kind]
    with Image.open(io.BytesIO(kept)) as again:
        assert (again.format.lower(), again.size) == (kind, (60, 40))
        assert not again.getexif()
        difference = ImageChops.difference(again.convert("L"), drawn("L"))
        assert difference.getextrema()[1] <= (0 if kind == "png" else 40)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("orientation", "size", "dark"),
    [(1, (60, 40), (0, 0)), (2, (60, 40), (1, 0)), (3, (60, 40), (1, 1)), (4, (60, 40), (0, 1)),
     (5, (40, 60), (0, 0)), (6, (40, 60), (1, 0)), (7, (40, 60), (1, 1)),
     (8, (40, 60), (0, 1)), (99, (60, 40), (0, 0))],
)  # fmt: skip
def test_what_was_shown_upright_is_upright(kind, orientation, size, dark):
    with Image.open(io.BytesIO(cleaned(picture(kind, orientation), kind, **MOST))) as kept:
        assert kept.size == size
        grey = kept.convert("L")
    for column in (0, 1):
        for row in (0, 1):
            shade = grey.getpixel((size[0] // 4 + column * size[0] // 2, size[1] // 4 + row * size[1] // 2))
            assert (shade < 100) == ((column, row) == dark)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pngs_of_every_depth_come_out_as_they_were(mode):
    out = io.BytesIO()
    sent = drawn("L").convert("I").convert(mode) if mode == "I;16" else drawn(mode)
    sent.save(out, "PNG")
    with Image.open(io.BytesIO(cleaned(out.getvalue(), "png", **MOST))) as kept:
        assert kept.mode == mode
        assert kept.convert("RGBA").tobytes() == sent.convert("RGBA").tobytes()


def test_transparency_stays():
    out = io.BytesIO()
    drawn("P").save(out, "PNG", transparency=0)
    with Image.open(io.BytesIO(cleaned(out.getvalue(), "png", **MOST))) as kept:
        assert kept.info == {"transparency": 0}


def test_a_photograph_for_print_becomes_one_for_screens():
    out = io.BytesIO()
    drawn("CMYK").save(out, "JPEG")
    with Image.open(io.BytesIO(cleaned(out.getvalue(), "jpeg", **MOST))) as kept:
        assert kept.mode == "RGB"


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (picture("jpeg")[:-200], "jpeg", "broken"),
        (picture("png")[:-60], "png", "broken"),
        (picture("webp")[:100], "webp", "broken"),
        (b"\xff\xd8\xff" + picture("png"), "jpeg", "broken"),
        (png(width=101, height=100), "png", "too_many_pixels"),
        (png(width=60_000, height=60_000, data=b"x"), "png", "too_many_pixels"),
        (film("png"), "png", "several_frames"),
        (film("webp"), "webp", "several_frames"),
    ],
    ids=["cut-jpeg", "cut-png", "cut-webp", "png-as-jpeg", "large", "huge", "film-png", "film-webp"],
)
def test_what_cannot_be_kept_is_refused(content, kind, said):
    with pytest.raises(Refused, match=said):
        cleaned(content, kind, **MOST)


def test_what_grows_too_large_is_refused():
    with pytest.raises(Refused, match="too_large"):
        cleaned(picture("png"), "png", most_pixels=10_000, most_bytes=50)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bomb.png", "picture_too_many_pixels"),
        ("text.png", "picture_broken"),
        ("huge.jpeg", "picture_too_many_pixels"),
        ("film.webp", "picture_several_frames"),
        ("start.pdf", "pdf_broken"),
        ("vector.svg", "unknown_type"),
        ("empty", "unknown_type"),
    ],
)
def test_what_was_made_on_purpose_is_refused_in_words(name, code):
    content = crafted()[name]
    with pytest.raises(InvalidInput) as refused:
        pictures.cleaned(content, kind_of(content), most_bytes=1 << 20)
    assert refused.value.code == code
    assert len(refused.value.message) > 40


def test_what_stood_beside_the_picture_goes():
    for name in ("start.jpeg", "end.jpeg"):
        content = crafted()[name]
        assert b"script" in content
        assert b"script" not in pictures.cleaned(content, kind_of(content), most_bytes=1 << 20)


def test_a_process_that_dies_or_hangs_or_does_not_start_costs_its_picture_alone(monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    monkeypatch.setattr(pictures, "_PROGRAM", program)
    for code, error in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", InvalidInput),
        ("raise MemoryError", InvalidInput),
        ("import no_such_module", NotPossible),
    ):
        program.write_text(code)
        with pytest.raises(error):
            pictures.cleaned(b"x", "image/png", most_bytes=1000)
    monkeypatch.setattr(pictures, "PATIENCE_S", 0.0)
    with pytest.raises(Unavailable):
        pictures.cleaned(b"x", "image/png", most_bytes=1000)


def test_the_process_knows_no_secret_of_the_service(monkeypatch, tmp_path):
    monkeypatch.setenv("GRIDMAP_SECRET_KEY", "a secret")
    program = tmp_path / "program.py"
    program.write_text("import os, sys; sys.stdout.write(str(sorted(os.environ)))")
    monkeypatch.setattr(pictures, "_PROGRAM", program)
    assert b"GRIDMAP" not in pictures.cleaned(b"x", "image/png", most_bytes=1000)
