"""Failed sign-ins, counted by name and by address in the database: for all processes, beyond a restart.

A try is counted before the password is looked at, so that many at once are not more than one after the other, and
taken back when it was right. The name is kept as a digest: a password typed into the wrong field is not.
"""

import hashlib
import ipaddress

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.db import Writer

LOCKED_S = 300.0
NAME_TRIES = 5
ADDRESS_TRIES = 30  # an office behind one address

_COUNT = sa.text("""
    INSERT INTO sign_in_failure AS f (key, failures, last_at) VALUES (:key, 1, now())
    ON CONFLICT (key) DO UPDATE SET last_at = now(),
        failures = CASE WHEN f.last_at < now() - make_interval(secs => :locked) THEN 1 ELSE f.failures + 1 END
    WHERE f.failures < :tries OR f.last_at < now() - make_interval(secs => :locked)
    RETURNING failures
""")


def _keys(name: str, address: str | None) -> list[tuple[bytes, int]]:
    """Digests to count under, each with its tries; this machine's own address is nobody's in particular."""
    keys = [(_key("name", name), NAME_TRIES)]
    try:
        if address and not ipaddress.ip_address(address).is_loopback:
            keys.append((_key("address", address), ADDRESS_TRIES))
    except ValueError:  # not an address: a unix socket, a test
        pass
    return sorted(keys)  # always in one order, so that no two wait for each other


def _key(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"gridmap {kind} {value}".encode()).digest()


def take(session: Writer, name: str, address: str | None) -> int | None:
    """Counts a try; the caller commits before it looks at the password.

    Returns:
        Tries left after this one, by the name; None where the name or the address is locked.
    """
    left = 0
    for key, tries in _keys(name, address):
        failures = session.execute(
            _COUNT, {"key": key, "tries": tries, "locked": LOCKED_S}
        ).scalar_one_or_none()
        if failures is None:
            session.rollback()  # the other one's try does not count either
            return None
        if tries == NAME_TRIES:
            left = tries - failures
    session.execute(sa.text("DELETE FROM sign_in_failure WHERE last_at < now() - interval '1 day'"))
    return left


def give_back(session: Writer, name: str, address: str | None) -> None:
    """Somebody knew the password: the name starts anew, the address has one failure less."""
    for key, tries in _keys(name, address):
        statement = (
            "DELETE FROM sign_in_failure WHERE key = :key"
            if tries == NAME_TRIES
            else "UPDATE sign_in_failure SET failures = greatest(0, failures - 1) WHERE key = :key"
        )
        session.execute(sa.text(statement), {"key": key})


def is_locked(session: Session, name: str) -> bool:
    """Whether a name is locked at the moment."""
    return bool(
        session.execute(
            sa.text(
                "SELECT EXISTS (SELECT FROM sign_in_failure WHERE key = :key AND failures >= :tries"
                " AND last_at >= now() - make_interval(secs => :locked))"
            ),
            {"key": _key("name", name), "tries": NAME_TRIES, "locked": LOCKED_S},
        ).scalar_one()
    )
