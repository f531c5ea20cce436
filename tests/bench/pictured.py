"""Pictures as people send them, with all that they tell beside what they show; and as nobody should send them."""

import functools
import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageDraw, PngImagePlugin

SECRET = "张三的手机"
PLACE = (30.0, 1.0, 2.5)
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def drawn(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    """A picture whose upper left quarter alone is dark."""
    picture = Image.new("L", size, 230)
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] // 2, size[1] // 2), fill=20)
    return picture.convert(mode)


def knowing(orientation: int = 1) -> Image.Exif:
    """Metadata with a place, a device, a time and a thumbnail's offset."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = SECRET
    exif[0x0132] = "2026:08:24 13:51:00"
    exif.get_ifd(0x8825).update({1: "N", 2: PLACE, 3: "E", 4: (112.0, 0.0, 0.0)})
    exif.get_ifd(0x8769)[0x9286] = SECRET
    return exif


def picture(kind: str, orientation: int = 1, **more: Any) -> bytes:
    """A good picture of a kind, `jpeg`, `png` or `webp`, with everything in it that has to go."""
    out = io.BytesIO()
    known = {"exif": knowing(orientation), "icc_profile": SECRET.encode() * 20}
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()
    if kind == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", SECRET, zip=True)
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        known["pnginfo"] = text
    else:
        known["xmp"] = xmp
    if kind == "jpeg":
        iptc = (
            b"Photoshop 3.0\x008BIM\x04\x04\x00\x00"
            + struct.pack(">I", len(SECRET.encode()))
            + SECRET.encode()
        )
        known |= {"comment": SECRET.encode(), "extra": b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc}
    drawn().save(out, kind.upper(), **{**known, **more})
    return out.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*parts: bytes, width: int = 4, height: int = 4, data: bytes = b"") -> bytes:
    """A PNG put together by hand, in eight bits of grey."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", data or zlib.compress(bytes((width + 1) * height)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(parts) + pixels + chunk(b"IEND", b"")


def film(kind: str) -> bytes:
    """A picture that moves."""
    out = io.BytesIO()
    drawn().save(out, kind.upper(), save_all=True, append_images=[drawn().rotate(90)], duration=100)
    return out.getvalue()


@functools.cache
def crafted() -> dict[str, bytes]:
    """Pictures that somebody made on purpose, by name: bombs, promises, disguises."""
    zeros = zlib.compress(bytes(1 << 25), 9)
    good = {kind: picture(kind) for kind in ("jpeg", "png", "webp")}
    frame = good["jpeg"].index(b"\xff\xc0") + 5
    return {
        "huge.png": png(width=60_000, height=60_000, data=zlib.compress(b"\0" * 1000)),
        "promise.png": png(width=2**31 - 1, height=2**31 - 1, data=b"x"),
        "bomb.png": png(width=50_001, height=1000, data=zlib.compress(bytes(50_002 * 1000), 9)),
        "text.png": png(*(chunk(b"zTXt", b"Comment\0\0" + zeros) for _ in range(20))),
        "itxt.png": png(chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros)),
        "profile.png": png(chunk(b"iCCP", b"p\0\0" + zeros)),
        "exif.png": png(chunk(b"eXIf", b"II*\0\xff\xff\xff\x7f")),
        "loop.png": png(chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0")),
        "none.png": png(width=0, height=0),
        "huge.jpeg": good["jpeg"][:frame] + struct.pack(">HH", 65_500, 65_500) + good["jpeg"][frame + 4 :],
        "end.jpeg": good["jpeg"] + b"PK\x03\x04" + b"<script>alert(1)</script>" * 50,
        "start.jpeg": b"\xff\xd8\xff\xfe\x00\x20<script>alert(1)</script>....." + good["jpeg"][2:],
        "nothing.jpeg": b"\xff\xd8\xff\xd9",
        "scans.jpeg": good["jpeg"][:-2] + good["jpeg"][good["jpeg"].index(b"\xff\xda") :] * 300,
        "huge.webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0" + b"VP8L\0\0\0\0",
        "size.webp": good["webp"][:4] + b"\xff\xff\xff\xff" + good["webp"][8:],
        "film.webp": film("webp"),
        "film.png": film("png"),
        "as.jpeg": b"\xff\xd8\xff" + good["png"],
        "start.pdf": b"%PDF-1.7\n" + bytes(5000),
        "page.html": b"<!doctype html><script>alert(1)</script>",
        "vector.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "empty": b"",
    }  # fmt: skip
