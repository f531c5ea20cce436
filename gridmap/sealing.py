"""Sealing contacts and attachments: encrypted at rest with keys that follow from the installation's secret."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from gridmap.errors import NotPossible


class Seal:
    """Encrypts and opens contacts and files; Fernet (AES-128-CBC with HMAC-SHA-256), a key for each of the two.

    Args:
        secret: of the installation; without it nothing that was sealed can be read.
    """

    def __init__(self, secret: str) -> None:
        self._contacts = _keyed(secret, b"gridmap-contact")
        self._files = _keyed(secret, b"gridmap-attached")

    def close(self, text: str | None) -> bytes | None:
        """The sealed text; None stays None."""
        return None if text is None else self._contacts.encrypt(text.encode())

    def open(self, sealed: bytes | None) -> str | None:
        """The text again.

        Raises:
            NotPossible: it was sealed with another secret.
        """
        if sealed is None:
            return None
        try:
            return self._contacts.decrypt(bytes(sealed)).decode()
        except InvalidToken as error:
            raise _another_key("A contact") from error

    def close_file(self, content: bytes) -> bytes:
        """A sealed file, without the base64 around it that would make it a third larger."""
        return base64.urlsafe_b64decode(self._files.encrypt(content))

    def open_file(self, sealed: bytes) -> bytes:
        """The file's content again.

        Raises:
            NotPossible: it was sealed with another secret, or altered.
        """
        try:
            return self._files.decrypt(base64.urlsafe_b64encode(sealed))
        except InvalidToken as error:
            raise _another_key("An attachment") from error


def _keyed(secret: str, use: bytes) -> Fernet:
    key = hashlib.blake2b(secret.encode(), digest_size=32, person=use).digest()
    return Fernet(base64.urlsafe_b64encode(key))


def _another_key(what: str) -> NotPossible:
    return NotPossible(
        f"{what} was sealed with another secret key: set GRIDMAP_SECRET_KEY to the one in use then"
    )
