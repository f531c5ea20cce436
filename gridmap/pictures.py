"""Pictures as they are kept: nothing but what they show. A process for each, so that a hostile one costs no other.

    kept = cleaned(content, "image/jpeg", most_bytes=10 << 20)

Of what a stranger sends, native code reads; a thread that it keeps busy could not be stopped, and where it crashes it
takes its process along. This one has no secrets, may write nothing, and has little memory and time.
"""

import subprocess
import sys
from pathlib import Path

from gridmap.errors import InvalidInput, NotPossible, Unavailable

KINDS = {"image/jpeg": "jpeg", "image/png": "png", "image/webp": "webp"}
MOST_PIXELS = 50_000_000
PATIENCE_S = 60.0
_PROGRAM = Path(__file__).with_name("picture_cleaning.py")
_REFUSED = 3
_WORDS = {
    "broken": "The picture cannot be read to its end: it is cut short or damaged. Send it again, or another one",
    "too_many_pixels": f"The picture has too many pixels: {MOST_PIXELS:,} at most, of WebP half as many",
    "several_frames": "The picture has several frames: send the one that matters, as a picture of its own",
    "too_large": "Without its metadata the picture would take twice the bytes that an attachment may have",
}


def cleaned(content: bytes, media_type: str, *, most_bytes: int) -> bytes:
    """The picture drawn anew, upright, without metadata, thumbnails, or what else the file held.

    Args:
        content: of the file.
        media_type: one of `KINDS`, by the content.
        most_bytes: of an attachment; drawn anew it may take twice that.

    Raises:
        InvalidInput: it is broken, too large or has several frames; no crash of a reader is told otherwise.
        Unavailable: this machine had no time for it.
        NotPossible: the program that reads pictures does not run here.
    """
    words = [sys.executable, "-I", str(_PROGRAM), KINDS[media_type], str(MOST_PIXELS), str(2 * most_bytes)]
    try:
        done = subprocess.run(  # noqa: S603  # a program of ours, by a list of words
            words, input=content, capture_output=True, timeout=PATIENCE_S, check=False, env={}
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("The machine is too busy to read the picture. Try again.", code="busy") from error
    except OSError as error:
        raise Unavailable(
            "No process could be started to read the picture. Try again.", code="busy"
        ) from error
    if done.returncode == 0:
        return done.stdout
    if any(word in done.stderr for word in (b"ImportError", b"ModuleNotFoundError")):
        raise NotPossible(f"Pictures cannot be read here: {done.stderr[-300:].decode(errors='replace')}")
    said = done.stderr.decode(errors="replace") if done.returncode == _REFUSED else "broken"
    raise InvalidInput(
        _WORDS.get(said, _WORDS["broken"]), code=f"picture_{said if said in _WORDS else 'broken'}"
    )
