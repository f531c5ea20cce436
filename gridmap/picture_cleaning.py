"""A picture without all that it says beside itself: place, time, device, thumbnails, comments. A program of its own.

    python -I picture_cleaning.py jpeg|png|webp MOST_PIXELS MOST_BYTES <picture >cleaned

It reads what a stranger may have made, by native code, so it has a process for each picture (`gridmap.pictures`), and
imports nothing of the service. Refusals go to standard error, one of `REFUSALS`, with exit status 3.
"""

import io
import resource
import struct
import sys
import warnings
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

FORMATS = {
    "jpeg": JpegImagePlugin.JpegImageFile.format,
    "png": PngImagePlugin.PngImageFile.format,
    "webp": WebPImagePlugin.WebPImageFile.format,
}
REFUSALS = ("broken", "too_many_pixels", "several_frames", "too_large")
REFUSED = 3
MOST_MEMORY = 1 << 30
MOST_CPU_S = 30
QUALITY = 90  # where that of the picture itself cannot be kept
_ORIENTATION = 0x0112
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Refused(Exception):  # noqa: N818  # a word for whoever started the program
    """The picture will not do; its text is one of `REFUSALS`."""


def cleaned(content: bytes, kind: str, most_pixels: int, most_bytes: int) -> bytes:
    """The picture drawn anew, upright, in its own format.

    Args:
        content: a file.
        kind: its format, `jpeg`, `png` or `webp`; nothing else is tried.
        most_pixels: of its width times its height; of WebP half as many, which take more memory.
        most_bytes: of what comes out.

    Raises:
        Refused: it is broken, too large, or has several frames.
    """
    most_pixels = most_pixels // 2 if kind == "webp" else most_pixels
    Image.MAX_IMAGE_PIXELS = most_pixels  # looked at before anything is unpacked
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(content), formats=[FORMATS[kind] or ""]) as opened,
        ):
            if opened.width * opened.height > most_pixels:
                raise Refused("too_many_pixels")
            # A photograph's further frames are previews of it; others' are a film, of which we would keep one.
            if kind != "jpeg" and getattr(opened, "n_frames", 1) > 1:
                raise Refused("several_frames")
            opened.load()
            written = _written(opened, kind, content)
    except Refused:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise Refused("too_many_pixels") from error
    except Exception as error:  # whatever the readers raise of what they cannot read
        raise Refused("broken") from error
    if len(written) > most_bytes:
        raise Refused("too_large")
    return written


def _written(opened: Any, kind: str, content: bytes) -> bytes:
    """The pixels alone, in the picture's format and about its quality."""
    options = {"jpeg": _as_jpeg, "png": _as_png, "webp": _as_webp}[kind](opened, content)
    picture = opened
    if kind == "jpeg" and opened.mode not in {"L", "RGB"}:
        picture = opened.convert("RGB")
    turn = _TURNED.get(_orientation(opened))
    if turn is not None:
        picture = picture.transpose(turn)
    # What its file knew besides pixels goes; some of it the writers would take along without being told.
    kept = {"png": ("transparency",)}.get(kind, ())
    picture.info = {name: value for name, value in picture.info.items() if name in kept}
    out = io.BytesIO()
    picture.save(out, FORMATS[kind], **options)
    return out.getvalue()


def _as_jpeg(opened: Any, _: bytes) -> dict[str, Any]:
    options: dict[str, Any] = {"optimize": True, "quality": QUALITY}
    if opened.mode in {"L", "RGB"} and 1 <= len(opened.quantization) <= 3:
        options["qtables"] = opened.quantization  # its own: nearly nothing is lost a second time
        del options["quality"]
        options["subsampling"] = JpegImagePlugin.get_sampling(opened)
    return options


def _as_png(_: Any, __: bytes) -> dict[str, Any]:
    return {}


def _as_webp(_: Any, content: bytes) -> dict[str, Any]:
    return {"lossless": b"VP8L" in content[12:65536], "quality": QUALITY, "method": 2}


def _orientation(opened: Any) -> int:
    try:
        return int(opened.getexif().get(_ORIENTATION, 1))
    except (ValueError, TypeError, KeyError, SyntaxError, OSError, struct.error):
        return 1  # metadata that nobody can read says nothing


def main() -> None:
    """Reads standard input, writes standard output, and never takes more than its share."""
    for what, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    kind, most_pixels, most_bytes = sys.argv[1:]
    try:
        written = cleaned(sys.stdin.buffer.read(), kind, int(most_pixels), int(most_bytes))
    except Refused as refused:
        sys.stderr.write(str(refused))
        sys.exit(REFUSED)
    sys.stdout.buffer.write(written)


if __name__ == "__main__":
    main()
