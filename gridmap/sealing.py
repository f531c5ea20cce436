"""Sealing contacts: encrypted at rest with a key that follows from the installation's secret."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from gridmap.errors import NotPossible


class Seal:
    """Encrypts and opens short texts; Fernet (AES-128-CBC with HMAC-SHA-256).

    Args:
        secret: of the installation; without it nothing that was sealed can be read.
    """

    def __init__(self, secret: str) -> None:
        key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"gridmap-contact").digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, text: str | None) -> bytes | None:
        """The sealed text; None stays None."""
        return None if text is None else self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes | None) -> str | None:
        """The text again.

        Raises:
            NotPossible: it was sealed with another secret.
        """
        if sealed is None:
            return None
        try:
            return self._fernet.decrypt(bytes(sealed)).decode()
        except InvalidToken as error:
            raise NotPossible(
                "A contact was sealed with another secret key: set GRIDMAP_SECRET_KEY to the one in use then"
            ) from error
