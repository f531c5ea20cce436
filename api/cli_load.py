"""`gridmap load`: files into the database, as a dry run unless told to commit."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from api.progress import progress_of
from gridmap.db import Database
from gridmap.errors import InvalidInput
from gridmap.settings import Settings

SHOWN: Final = 20  # findings on the screen; the report has all
ANALYSE_FROM: Final = 10_000  # rows after which the planner's statistics are renewed at once
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "areas": ("area",),
    "buildings": ("building",),
    "streets": ("street",),
    "workers": ("worker",),
    "events": ("event", "event_key", "event_text"),
}
# What `--kind` says for each noun: short for `--set FIELD=KIND`.
KIND_FIELD: Final[Mapping[str, str]] = {
    "areas": "kind",
    "buildings": "kind",
    "streets": "class",
    "workers": "role",
    "events": "category",
}
Command = TypeVar("Command", bound=Callable[..., Any])


class Tool(Protocol):
    """What the command line's context object gives."""

    settings: Settings

    @property
    def user(self) -> str:
        """Who runs the command."""
        ...

    def database(self) -> Database:
        """The installation's database, started and migrated."""
        ...


@click.group()
def load() -> None:
    """导入文件 Load a file: checked row by row, all or nothing.

    A dry run unless --commit is given: everything is done and taken back, and the summary says what would be
    stored. Exits 1 where rows were refused.

    GeoPackage, GeoJSON, Shapefile (also GBK without .cpg, also zipped), FlatGeobuf and whatever else GDAL
    reads, GeoParquet, Parquet, CSV (also .gz) and XLSX.
    """


_OPTIONS: Final = (
    click.argument("file", type=click.Path(path_type=Path)),
    click.option("--kind", help="类型，全部行相同 Kind of all rows: --set kind=…"),
    click.option("--crs", help="坐标系 Reference system: wgs84, cgcs2000, gcj02, bd09 or EPSG:n."),
    click.option("--encoding", help="编码 Of CSV and Shapefile; by default detected."),
    click.option("--layer", help="图层或工作表 Layer or sheet, where the file has several."),
    click.option(
        "--fields", multiple=True, metavar="FIELD=COL,…", help="字段 Which column holds which field."
    ),
    click.option("--set", "constants", multiple=True, metavar="FIELD=VALUE,…", help="Same for all rows."),
    click.option("--time-zone", help="时区 Of times that name none, for example Asia/Shanghai."),
    click.option(
        "--skip-refused", is_flag=True, help="跳过被拒的行 Store the good rows although some are not."
    ),
    click.option("--report", type=click.Path(path_type=Path), help="报告 Every refusal, as CSV or .json."),
    click.option("--commit", is_flag=True, help="入库 Store; without it nothing changes."),
)


def _with_options(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@load.command()
@_with_options
@click.option(
    "--repair",
    is_flag=True,
    help="修复 Make polygons valid and fit grids to each other and their parents; says by how many m².",
)
@click.option(
    "--repair-width",
    "repair_width_m",
    type=float,
    default=1.0,
    show_default=True,
    metavar="M",
    help="修复宽度 Gaps and overlaps of at most so many metres are repaired.",
)
@click.option(
    "--repair-jurisdictions", is_flag=True, help="也修复辖区 Fit jurisdictions, too, not only grids."
)
@click.option(
    "--allow", multiple=True, metavar="CODE,…", help="允许 Findings that do not block: gap, not_contiguous."
)
@click.option("--names", type=click.Path(path_type=Path), help="名称表 Names and parents by code, a table.")
@click.pass_obj
def areas(tool: Tool, /, **given: Any) -> None:
    """区域 Areas: jurisdictions and grids, as polygons with code and kind.

    Fields: code, name, kind, parent, setting, households (checked; counted from buildings).
    """
    _run(tool, "areas", given)


@load.command()
@_with_options
@click.option("--repair", is_flag=True, help="修复 Make invalid footprints valid; says by how many m².")
@click.pass_obj
def buildings(tool: Tool, /, **given: Any) -> None:
    """楼栋 Buildings: points or footprints with code and households.

    A known code with another count or shape closes the old row as of today and opens a new one.
    Fields: code, name, kind, households, x, y, wkt.
    """
    _run(tool, "buildings", given)


@load.command()
@_with_options
@click.pass_obj
def streets(tool: Tool, /, **given: Any) -> None:
    """道路 Streets, rivers and railways, as lines.

    Fields: code, name, class (motorway main street lane path river railway, or OpenStreetMap's highway).
    """
    _run(tool, "streets", given)


@load.command()
@_with_options
@click.pass_obj
def workers(tool: Tool, /, **given: Any) -> None:
    """人员 Workers with role, unit, areas and shifts; a table.

    Fields: code, name, role, capacity, unit (with unit_name and unit_kind it is created), areas (codes
    separated by ; or 、), shifts (1-5 08:00-18:00; 6 09:00-12:00).
    """
    _run(tool, "workers", given)


@load.command()
@_with_options
@click.pass_obj
def events(tool: Tool, /, **given: Any) -> None:
    """事件 Events, with or without a place.

    Fields: source, external_id, category, subcategory, urgency, occurred_at, x, y, accuracy_m, grid, address,
    title, description, contact, due_at; stated (code or name of the area that the source states: compared
    and reported), count (events that a row stands for).
    """
    _run(tool, "events", given)


def _run(tool: Tool, noun: str, given: Mapping[str, Any]) -> None:
    path: Path = given["file"]
    with _findings(path, given["report"]) as findings:
        try:
            stored = _load(tool, noun, given, findings)
        except InvalidInput as error:
            _into_report(error, findings)
            raise
    if findings.refused:
        sys.exit(1)
    if stored >= ANALYSE_FROM:
        tool.database().vacuum(*TABLES[noun])


def _findings(path: Path, report: Path | None) -> Any:
    # pyogrio, pyarrow and pyproj cost half a second that `gridmap --help` need not pay
    from boundaries.findings import Findings  # noqa: PLC0415

    try:
        return Findings(path.name, report=report)
    except OSError as error:
        raise InvalidInput(
            f"--report {report}: cannot be written ({error.strerror})", code="bad_file"
        ) from error


def _load(tool: Tool, noun: str, given: Mapping[str, Any], findings: Any) -> int:
    """Loads, commits or takes back, and prints the summary; returns how many rows were stored."""
    from api.tokens import secret_key  # noqa: PLC0415  # as above
    from boundaries.load import load_file  # noqa: PLC0415
    from gridmap.audit import OPERATOR, Entry, record  # noqa: PLC0415
    from gridmap.sealing import Seal  # noqa: PLC0415

    options = _options(tool.settings, noun, given)
    database = tool.database()
    with progress_of(given["file"].name) as progress, database.writer() as session:
        summary = load_file(
            noun,
            given["file"],
            options,
            findings,
            session=session,
            database=database,
            seal=lambda: Seal(secret_key(tool.settings)),
            progress=progress,
        )
        keep = given["commit"] and (not summary.refused or options.skip_refused)
        if keep:
            counts = {name: getattr(summary, name) for name in ("read", "created", "changed", "refused")}
            detail = {**counts, "user": tool.user}
            about = Entry(
                OPERATOR, f"load.{noun}", given["file"].name, edition=summary.edition, detail=detail
            )
            record(session, about)
        else:
            session.rollback()
    _show_findings(findings)
    _show(summary, noun, committed=keep, asked=given["commit"])
    return summary.created + summary.changed if keep else 0


def _options(settings: Settings, noun: str, given: Mapping[str, Any]) -> Any:
    from boundaries.fields import parse_pairs  # noqa: PLC0415
    from boundaries.job import Options  # noqa: PLC0415

    constants = parse_pairs(given["constants"], "--set")
    if given["kind"]:
        constants[KIND_FIELD[noun]] = given["kind"]
    return Options(
        settings=settings,
        fields=parse_pairs(given["fields"], "--fields"),
        constants=constants,
        crs=given["crs"],
        encoding=given["encoding"],
        layer=given["layer"],
        repair=given.get("repair", False),
        **_gate_options(given),
        skip_refused=given["skip_refused"],
        names=given.get("names"),
        time_zone=_zone(given["time_zone"]),
    )


def _gate_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What only areas have."""
    from gridmap.index import GRIDS, NESTING  # noqa: PLC0415  # as above

    if "allow" not in given:
        return {}
    return {
        "repair_width_m": given["repair_width_m"],
        "repair_kinds": frozenset((*GRIDS, *NESTING) if given["repair_jurisdictions"] else GRIDS),
        "allow": frozenset(
            code.strip() for each in given["allow"] for code in each.split(",") if code.strip()
        ),
    }


def _zone(name: str | None) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"--time-zone {name!r} is no time zone; for example Asia/Shanghai", code="unknown_time_zone"
        ) from error


def _into_report(error: InvalidInput, findings: Any) -> None:
    from boundaries.findings import Finding, shorten  # noqa: PLC0415

    for each in error.findings or [{}]:
        finding = Finding(
            error.code,
            error.message,
            file=findings.file,
            row=each.get("row"),
            field=each.get("field"),
            value=shorten(each.get("value")),
        )
        findings.add(finding)


def _show_findings(findings: Any) -> None:
    for each in findings.foremost(SHOWN):
        place = f" ({each.where[0]:.6f}, {each.where[1]:.6f})" if each.where else ""
        row = f", row {each.row}" if each.row is not None else ""
        field = f", {each.field}" if each.field else ""
        area = f", {each.area}" if each.area else ""
        value = f" {each.value!r}" if each.value is not None else ""
        click.echo(f"{each.file}{row}{area}{field}:{value} {each.title} {each.message}{place}", err=True)
    total = sum(findings.counts.values())
    if total > SHOWN:
        click.echo(f"… 共 {total} 条，见 --report FILE  {total} in all; --report FILE has them", err=True)


def _show(summary: Any, noun: str, *, committed: bool, asked: bool) -> None:
    for note in summary.notes:
        click.echo(note)
    parts = [
        f"读取 read {summary.read}",
        f"新增 created {summary.created}",
        f"变更 changed {summary.changed}",
        f"{'重复 repeated' if noun == 'events' else '未变 unchanged'} {summary.unchanged}",
        f"拒绝 refused {summary.refused}",
    ]
    if summary.repaired:
        parts.append(f"修复 repaired {summary.repaired} ({summary.repaired_m2:.1f} m²)")
    if summary.fitted:
        parts.append(f"贴合 fitted {summary.fitted} (+{summary.gained_m2:.1f} m², -{summary.lost_m2:.1f} m²)")
    click.echo(" · ".join(parts))
    if noun == "events" and summary.events:
        _show_rates(summary)
    if committed:
        edition = f"，版本 edition {summary.edition}" if summary.edition else ""
        click.echo(f"已入库 stored{edition}")
    elif asked:
        click.echo("未入库：有被拒的行 Nothing stored: rows were refused (--skip-refused stores the others)")
    else:
        click.echo("试运行，未入库 Dry run, nothing stored (--commit stores)")


def _show_rates(summary: Any) -> None:
    def share(part: int, whole: int) -> str:
        return f"{part}/{whole} = {100 * part / whole:.2f} %" if whole else "–"

    click.echo(f"入格率 in-grid rate {share(summary.in_grid, summary.events)}")
    methods = ", ".join(f"{name} {count}" for name, count in summary.methods.most_common() if count)
    click.echo(f"定位率 located rate {share(summary.located, summary.events)} · {methods}")
    if summary.stated:
        click.echo(f"与来源所述一致 stated area agrees {share(summary.agreed, summary.stated)}")
