"""What may be attached to an event, told by its content alone, and how it may be called."""

import unicodedata

from gridmap.errors import InvalidInput

PDF = "application/pdf"
ENDINGS = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    PDF: (".pdf",),
}
LONGEST_NAME = 200
_LONGEST_ENDING = 5
_TAIL = 2048  # of a PDF, in which its end has to be marked
_NO_PART_OF_A_NAME = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}  # unseen, or turning the writing round
_JOINERS = "\u200c\u200d"  # of scripts that need them, and of emoji


def kind_of(content: bytes) -> str:
    """The media type of a file, whatever it is called or said to be.

    Raises:
        InvalidInput: none of those that are taken.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"%PDF-"):
        if b"%%EOF" not in content[-_TAIL:]:
            raise InvalidInput("The PDF has no end: it was cut short. Send it again", code="pdf_broken")
        return PDF
    raise InvalidInput(
        "The content is none of what may be attached: JPEG, PNG, WebP, PDF."
        " A picture of another kind (HEIC, TIFF, GIF) has to be saved as JPEG first"
        if content
        else "The request has no content: the file itself is the request's content",
        code="unknown_type",
        findings=[{"field": "body", "message": f"one of {', '.join(ENDINGS)}"}],
    )


def name_of(given: str, media_type: str) -> str:
    """The name under which a file may be saved again: its own, with an ending that its content bears out.

    Raises:
        InvalidInput: no name, or one with a path or unseen characters in it.
    """
    name = unicodedata.normalize("NFC", given).strip()
    bad = next((each for each in name if _is_bad(each)), None)
    if not name or len(name) > LONGEST_NAME or bad is not None or not name.strip(". "):
        detail = f"1 to {LONGEST_NAME} characters, none of them / or \\ or unseen"
        raise InvalidInput(
            f"name is no name of a file: {detail}",
            code="bad_name",
            findings=[{"field": "name", "message": detail}],
        )
    endings = ENDINGS[media_type]
    return name if name.lower().endswith(endings) else name[: LONGEST_NAME - _LONGEST_ENDING] + endings[0]


def _is_bad(character: str) -> bool:
    return character in "/\\" or (
        unicodedata.category(character) in _NO_PART_OF_A_NAME and character not in _JOINERS
    )
