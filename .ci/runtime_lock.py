"""Prints the part of requirements.lock that the service itself needs, without the development tools.

    runtime_lock.py             what the service imports
    runtime_lock.py hatchling   what the named packages need, instead

The lock says of each package who asked for it (`# via`); from the project's own dependencies the rest
follows. Extras are not told apart there, so at worst the part is a little too large, never too small.
"""
# ruff: noqa: INP001  a script beside scripts, never imported

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Reads both files of the project and prints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    blocks = read((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    asked = sys.argv[1:] or project["dependencies"]
    wanted = {canonical(re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0]) for line in asked}
    unknown = wanted - blocks.keys()
    if unknown:
        raise SystemExit(f"requirements.lock lacks {sorted(unknown)}: make lock")
    found: set[str] = set()
    while wanted - found:
        name = (wanted - found).pop()
        found.add(name)
        wanted |= {other for other, entries in blocks.items() if any(name in askers for _, askers in entries)}
    print("\n".join(text for name in sorted(found) for text, _ in blocks[name]))  # noqa: T201  its purpose


def read(lock: str) -> dict[str, list[tuple[str, set[str]]]]:
    """Name → for each version (one per range of Pythons): its lines, names of those that asked for it."""
    blocks: dict[str, list[tuple[str, set[str]]]] = {}
    for text in re.split(r"\n(?=[A-Za-z0-9])", lock):
        name = canonical(re.split(r"[=\s;]", text, maxsplit=1)[0])
        if name.startswith("#") or "==" not in text:
            continue
        comments = re.findall(r"^ +#(?: via)? +([A-Za-z0-9._-]+)", text, re.MULTILINE)
        entry = (text.rstrip(), {canonical(comment) for comment in comments})
        blocks.setdefault(name, []).append(entry)
    return blocks


def canonical(name: str) -> str:
    """The name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
