"""`gridmap audit`: does the chain still fit, and what was recorded, into a file."""

import datetime as dt
import hashlib
import os
import re
import sys
from pathlib import Path
from typing import IO

import click
import orjson

from api.operator import Tool
from gridmap.access import Scope
from gridmap.audit import OPERATOR, Entry, Wanted, page, record
from gridmap.audit_chain import Head, head, seal
from gridmap.audit_verify import verify as check
from gridmap.errors import InvalidInput
from gridmap.periods import moment

PAGE = 1000


@click.group()
def audit() -> None:
    """审计 Who did or read what, when and why: verify, seal, export."""


@audit.command()
@click.option(
    "--anchor", help="链头 A head noted earlier, NUMBER:HASH: what was before it is still the same."
)
@click.pass_obj
def verify(tool: Tool, anchor: str | None) -> None:
    """校验 Recompute the chain over audit and history; exit 1 and name what does not fit."""
    noted = _anchor(anchor) if anchor else None
    with tool.database().reader() as session:
        verdict = check(session, noted)
    if verdict.flaw is not None:
        click.echo(f"审计链不符 The chain does not fit: {verdict.flaw}", err=True)
        sys.exit(1)
    click.echo(
        f"审计链完好 The chain fits: {verdict.blocks} blocks, {verdict.rows} rows;"
        f" {verdict.unsealed} newer rows are not sealed yet"
    )
    if verdict.head is not None:
        click.echo(f"链头 head {verdict.head}")


def _anchor(text: str) -> Head:
    parts = re.fullmatch(r"([1-9]\d{0,17}):([0-9a-f]{64})", text.strip())
    if parts is None:
        raise InvalidInput(
            "--anchor is NUMBER:HASH, as `gridmap audit verify` prints the head", code="bad_anchor"
        )
    return Head(int(parts[1]), bytes.fromhex(parts[2]))


@audit.command("seal")
@click.pass_obj
def seal_now(tool: Tool) -> None:
    """封存 Seal what was committed now; a running service does it every few seconds."""
    rows = 0
    while True:
        with tool.database().writer() as session:
            sealed = seal(session)
        if not sealed:
            break
        rows += sealed
    click.echo(f"封存 sealed {rows}" if sealed == 0 else "Another process is sealing.")


@audit.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="事由 Why; it is recorded.")
@click.option("--actor", help="Only of this account.")
@click.option("--action", help="Only this action; with a dot at its end all that begin so.")
@click.option("--object", "target", help="Only of this object, such as account:west or event:17.")
@click.option("--area", help="Only what concerns this area or lies in it.")
@click.option("--from", "since", help="自 RFC 3339 with zone, or a date.")
@click.option("--to", "until", help="至 Before it.")
@click.pass_obj
def export(  # click hands over options by name
    tool: Tool,
    file: Path,
    reason: str,
    actor: str | None,
    action: str | None,
    target: str | None,
    area: str | None,
    since: str | None,
    until: str | None,
) -> None:
    """导出 Write records into FILE, a JSON object a line, the newest first; the export is itself recorded.

    The first line says who exported what, when and why, and the head of the chain; the last the number of records
    and the SHA-256 of all lines before it.
    """
    if not reason.strip():
        raise InvalidInput("--reason says why; it is recorded", code="no_reason")
    if file.exists():
        raise InvalidInput(f"{file} is there already", code="file_exists")
    asked = Wanted(
        actor,
        action,
        target,
        area,
        moment(since, "--from", tool.settings.time_zone),
        moment(until, "--to", tool.settings.time_zone),
    )
    given = {"actor": actor, "action": action, "object": target, "area": area, "from": since, "to": until}
    filters = {name: value for name, value in given.items() if value}
    with tool.database().writer() as session:  # before anything is read
        record(
            session,
            Entry(
                OPERATOR,
                "audit.export",
                "audit",
                reason=reason,
                detail={"filters": filters, "user": tool.user},
            ),
        )
    mark = {
        "exported_by": tool.user,
        "exported_at": dt.datetime.now(dt.UTC),
        "reason": reason,
        "filters": filters,
    }
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("xb") as stream:
            written = _write(tool, stream, asked, mark)
            stream.flush()
            os.fsync(stream.fileno())
        part.rename(file)
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be written ({error.strerror})", code="bad_file") from error
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"写出 written {written} → {file}")


def _write(tool: Tool, stream: IO[bytes], asked: Wanted, mark: dict[str, object]) -> int:
    digest, written, before = hashlib.sha256(), 0, None

    def say(content: object) -> None:
        line = orjson.dumps(content, option=orjson.OPT_UTC_Z) + b"\n"
        digest.update(line)
        stream.write(line)

    with tool.database().reader() as session:
        newest = head(session)
        say({**mark, "head": str(newest) if newest else None})
        while rows := page(session, Scope(None), asked, before=before, limit=PAGE):
            for row in rows:
                say(dict(row))
            written, before = written + len(rows), rows[-1]["id"]
    say({"records": written, "sha256": digest.hexdigest()})
    return written
