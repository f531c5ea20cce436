"""`gridmap dump`: what the database holds, into files, each with a mark of who took it out and why."""

import datetime as dt
import sys
from pathlib import Path

import click

from api.cli_load import Tool
from gridmap.errors import InvalidInput
from gridmap.periods import moment

NOUNS = ("areas", "buildings", "streets", "events")
NO_REASON = "no reason given"


@click.command()
@click.argument("noun", type=click.Choice(NOUNS))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--kind", help="类型 Only areas or buildings of a kind, streets of a class, events of a category."
)
@click.option("--crs", help="坐标系 CGCS2000 for .gpkg and .shp, WGS-84 for the rest, unless told otherwise.")
@click.option("--at", help="时点 As it was then: RFC 3339 with zone, or a date.")
@click.option(
    "--reason", help="事由 Why; it is recorded and goes along with the file. Asked for with events."
)
@click.pass_obj
def dump(  # click hands over options by name
    tool: Tool,
    /,
    noun: str,
    file: Path,
    kind: str | None,
    crs: str | None,
    at: str | None,
    reason: str | None,
) -> None:
    """导出 Write areas, buildings, streets or events (without their text) into a file.

    By its ending: .gpkg .shp .geojson .fgb .parquet .csv .csv.gz .xlsx. The file appears whole or not at all, marked
    with who exported it, when, why and by which edition; where such a file has no place for that (.shp, .csv), it
    stands in FILE.mark.json beside it. The export is recorded in the audit.
    """
    from boundaries.dump import dump as write  # noqa: PLC0415  # half a second that --help need not pay
    from gridmap.audit import OPERATOR, Entry, record  # noqa: PLC0415  # SQLAlchemy, as below

    zone = tool.settings.time_zone
    then = moment(at, "--at", tool.settings.time_zone)
    today = (then or dt.datetime.now(dt.UTC)).astimezone(zone).date()
    why = _reason(noun, reason)
    with tool.database().writer() as session:  # before anything is read
        detail = {"file": file.name, "kind": kind, "at": at, "user": tool.user}
        record(session, Entry(OPERATOR, f"dump.{noun}", noun, reason=why, detail=detail))
    mark = {
        "exported_by": f"{OPERATOR}:{tool.user}",
        "exported_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "reason": why,
        "what": noun,
        "kind": kind,
        "at": at,
    }
    with tool.database().reader() as session:
        rows = write(session, noun, file, kind=kind, system=crs, at=then, today=today, mark=mark)
    click.echo(f"写出 written {rows} → {file}")


def _reason(noun: str, given: str | None) -> str | None:
    """Why; a person is asked for events, a script that says nothing is recorded as such.

    Raises:
        InvalidInput: it was given and says nothing.
    """
    if given is not None and not given.strip():
        raise InvalidInput("--reason says why; it is recorded", code="no_reason")
    if given or noun != "events":
        return given
    if _is_asked():
        said: str = click.prompt("导出事由 Why are events exported? It is recorded", err=True)
        return said
    click.echo(
        f"未说明事由 No reason: the export is recorded as {NO_REASON!r}; say why by --reason TEXT", err=True
    )
    return NO_REASON


def _is_asked() -> bool:
    """Whether a person sits there."""
    return sys.stdin.isatty()
