"""`gridmap check`: what is wrong with a file of grids, without a database."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from api.progress import progress_of

SHOWN: Final = 50  # findings of a code on the screen; --json and --all have the rest
FILE: Final = click.Path(path_type=Path)


@click.command()
@click.argument("grids", type=FILE)
@click.option("--within", type=FILE, help="范围 Areas that the grids must lie in and fill.")
@click.option("--buildings", type=FILE, help="楼栋 Count households from these, points or footprints.")
@click.option(
    "--households",
    metavar="KIND=LEAST:MOST,…",
    help="户数 Checked where given, or where buildings are: micro=50:100,comprehensive=300:500.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, alone on standard output.")
@click.option(
    "--all", "show_all", is_flag=True, help=f"全部列出 List all findings, not {SHOWN} of each code."
)
@click.option("--kind", help="类型 Kind of all rows, where the file names none.")
@click.option("--crs", help="坐标系 Of GRIDS, and of other files that name none: wgs84, gcj02, EPSG:n, …")
@click.option("--encoding", help="编码 Of CSV and Shapefile; by default detected.")
@click.option("--layer", help="图层 Layer or sheet of GRIDS, where it has several.")
@click.option("--fields", multiple=True, metavar="FIELD=COL,…", help="字段 Which column of GRIDS holds what.")
@click.option("--within-crs", help="坐标系 Of --within.")
@click.option("--within-layer", help="图层 Layer of --within.")
@click.option("--buildings-crs", help="坐标系 Of --buildings.")
@click.option("--buildings-layer", help="图层 Layer of --buildings.")
@click.option(
    "--buildings-fields", multiple=True, metavar="FIELD=COL,…", help="字段 Which column of --buildings."
)
@click.option("--scheme", help="编码规则 All codes must follow it: default, or levels as in the guide.")
@click.option(
    "--tolerance-m2",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="容差 Overlaps, gaps and parts outside up to this size are counted, not listed.",
)
@click.option(
    "--sliver-m",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="碎面 Polygons of less mean width are slivers.",
)
def check(grids: Path, as_json: bool, show_all: bool, **given: Any) -> None:
    """检查网格文件 Check a file of grids: one owner for every place, codes, parents, households.

    Needs no database. Exits 0 where nothing is wrong and 1 on findings: invalid, duplicate_code, bad_code,
    overlap, gap, outside_parent, not_contiguous, sliver, households_out_of_range.
    """
    # pyogrio, pyarrow and pyproj cost half a second that `gridmap --help` need not pay
    from boundaries.check_file import check_files  # noqa: PLC0415

    asked = _asked(grids, given)
    with progress_of(grids.name) as progress:
        report = check_files(**asked, progress=progress)
    for note in report.notes:
        click.echo(note, err=True)
    if as_json:
        found = {"findings": [finding.as_dict() for finding in report.findings]}
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _show(report.findings, None if show_all else SHOWN)
    _summarise(report, err=as_json)
    if report.findings:
        sys.exit(1)


def _asked(grids: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What `check_files` takes, out of the options."""
    from boundaries.check import Rules  # noqa: PLC0415  # as above
    from boundaries.check_file import Given  # noqa: PLC0415
    from boundaries.check_households import USUAL, parse_ranges  # noqa: PLC0415
    from boundaries.fields import parse_pairs  # noqa: PLC0415
    from gridmap.codes import DEFAULT, Scheme  # noqa: PLC0415

    ranges = parse_ranges(given["households"]) if given["households"] else None
    if ranges is None and given["buildings"]:
        ranges = dict(USUAL)
    scheme = None
    if given["scheme"]:
        scheme = DEFAULT if given["scheme"] == "default" else Scheme.from_text(given["scheme"])

    def beside(name: str, fields: tuple[str, ...] = ()) -> Given | None:
        if given[name] is None:
            return None
        return Given(
            path=given[name],
            crs=given[f"{name}_crs"],
            otherwise=given["crs"],
            encoding=given["encoding"],
            layer=given[f"{name}_layer"],
            fields=parse_pairs(fields, f"--{name}-fields"),
        )

    return {
        "grids": Given(
            path=grids,
            crs=given["crs"],
            encoding=given["encoding"],
            layer=given["layer"],
            fields=parse_pairs(given["fields"], "--fields"),
            constants={"kind": given["kind"]} if given["kind"] else {},
        ),
        "within": beside("within"),
        "buildings": beside("buildings", given["buildings_fields"]),
        "rules": Rules(
            ranges=ranges, scheme=scheme, tolerance_m2=given["tolerance_m2"], sliver_m=given["sliver_m"]
        ),
    }


def _show(findings: list[Any], most: int | None) -> None:
    """Findings under a heading for each code."""
    shown: dict[str, int] = {}
    for each in findings:
        number = shown[each.code] = shown.get(each.code, 0) + 1
        if number == 1:
            click.echo(f"{each.title} {each.code}")
        if most is None or number <= most:
            place = f"  ({each.where[0]:.7f}, {each.where[1]:.7f})" if each.where else ""
            click.echo(f"  {each.message}{place}")
        elif number == most + 1:
            click.echo("  … 其余见 --all 或 --json  the others by --all or --json")


def _summarise(report: Any, *, err: bool) -> None:
    from boundaries.check_findings import TITLES, counts  # noqa: PLC0415  # as above

    areas = ", ".join(f"{kind} {number}" for kind, number in report.areas.items())
    click.echo(f"检查 checked {report.areas.total()} ({areas})", err=err)
    found = counts(report.findings)
    if found:
        listed = " · ".join(f"{TITLES[code]} {code} {number}" for code, number in found.items())
        click.echo(f"发现 findings {len(report.findings)}: {listed}", err=err)
    else:
        click.echo("没有发现问题 nothing found", err=err)
    below = ", ".join(f"{code} {number}" for code, number in sorted(report.below.items()))
    if below:
        click.echo(
            f"容差以内未列出 within the tolerance of {report.tolerance_m2:g} m² and not listed: {below},"
            f" 最大 the largest {report.below_m2:.2g} m²",
            err=err,
        )
