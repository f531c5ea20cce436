"""A plan taken out: as layers, as a ledger, as a map and a page for paper; each says whose it is and why."""

import datetime as dt
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from api import plan_impact_shapes, recording, rendering
from api.service import Service
from boundaries import ledger, plan_layers
from boundaries.draft import Draft, PlannedArea
from boundaries.ground import read_streets
from boundaries.ledger import CHANGES, KINDS, Head
from boundaries.plan_impact import Told
from gridmap import crs
from gridmap.access import Principal
from gridmap.index import GRIDS
from layers import printed_map
from layers.printed_map import Area, Content, Drawn

Format = Literal["gpkg", "xlsx", "map", "page"]
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PACKAGE = "application/geopackage+sqlite3"
# For paper: no script, nothing from elsewhere, and it may not act as the signed-in person.
PAPER_POLICY = "sandbox allow-modals; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
STATES: Mapping[str, str] = {
    "draft": "草稿 draft", "submitted": "已提交 submitted", "approved": "已批准 approved",
    "published": "已发布 published", "rejected": "已退回 rejected", "withdrawn": "已撤回 withdrawn",
}  # fmt: skip
MAP_MM = (318.0, 247.0)  # of an A3 sheet, beside its legend
MOST_ROWS = 200  # of a table on paper; the ledger has all


def export(
    service: Service, principal: Principal, told: Told, which: Format, asked: Mapping[str, str | None]
) -> Response:
    """A plan as a file or a page.

    Args:
        service: reads streets and events, records the export.
        principal: who takes it out.
        told: the plan with its impact.
        which: as what.
        asked: `crs` of the GeoPackage, `reason`.

    Raises:
        Unavailable: it cannot be recorded, so it shall not be taken out.
        InvalidInput: `unknown_crs`.
    """
    if asked["crs"]:
        crs.normalise(asked["crs"])  # refused before it is recorded
    makers: Mapping[Format, Callable[[Export], Response]] = {
        "gpkg": _package,
        "xlsx": _ledger,
        "map": _map,
        "page": _page,
    }
    filters = {"plan": told.plan.id, "revision": told.plan.revision, "crs": asked["crs"] or ""}
    what, path = f"plan.{which}", told.plan.path
    mark = recording.exported(service, principal, what, asked["reason"], filters, path=path)
    return makers[which](Export(service, principal, told, mark, asked))


class Export:
    """One export: who takes what out, and what stands on it.

    Args:
        mark: who took it out, when and why.
        asked: as of `export`.
    """

    def __init__(
        self, service: Service, principal: Principal, told: Told, mark: str, asked: Mapping[str, str | None]
    ) -> None:
        self.service, self.principal, self.told, self.mark, self.asked = service, principal, told, mark, asked
        self.now = dt.datetime.now(service.settings.time_zone)
        plan, scope = told.plan, told.draft.get(told.plan.scope)
        self.scope = plan.scope if scope is None else f"{scope.name} {plan.scope}"
        became = "" if plan.edition is None else f" → 第 {plan.edition} 版 edition {plan.edition}"
        self.state = (
            f"方案 Plan {plan.id} · 修订 revision {plan.revision} · {STATES[plan.state]} ·"
            f" 基于第 {plan.base} 版 on edition {plan.base}{became}"
        )

    @property
    def households(self) -> bool:
        """Whether its reader may see the households of single buildings."""
        return self.principal.scope("households").holds(self.told.plan.path)

    def name(self, ending: str) -> dict[str, str]:
        """The header by which a browser names the file; numbers alone, since a header holds no Chinese."""
        plan = self.told.plan
        name = f"gridmap-plan-{plan.id}-r{plan.revision}.{ending}"
        return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}


def _package(export_: Export) -> Response:
    plan = export_.told.plan
    mark = {
        "exported_by": export_.principal.name,
        "exported_at": export_.now.isoformat(timespec="seconds"),
        "reason": (export_.asked["reason"] or "").strip() or None,
        "plan": plan.id,
        "revision": plan.revision,
        "edition": plan.base,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.gpkg"
        file = plan_layers.File(export_.asked["crs"], mark, export_.households)
        plan_layers.write_plan(path, export_.told, file)
        content = path.read_bytes()
    return Response(content, media_type=PACKAGE, headers=export_.name("gpkg"))


def _ledger(export_: Export) -> Response:
    told = export_.told
    with export_.service.database.reader() as session:
        rows = ledger.grid_rows(session, told)
    head = Head(
        title=f"{told.plan.name} · 网格台账 Ledger of grids",
        scope=export_.scope,
        state=export_.state,
        day=export_.now.date(),
        mark=export_.mark,
        households=export_.households,
    )
    return Response(ledger.workbook(rows, told, head), media_type=SHEET, headers=export_.name("xlsx"))


def _map(export_: Export) -> Response:
    drawing = _drawing(export_)
    ticks = [(number * drawing.bar_mm / 4, number * drawing.bar_m / 4) for number in (0, 2, 4)]
    return _paper(
        export_,
        "plan_map.html",
        svg=Markup(drawing.svg),  # noqa: S704  # layers/printed_map.py escapes what is data
        scale=f"{drawing.scale:,}",
        bar_mm=drawing.bar_mm,
        ticks=[(mm, f"{metres:g}") for mm, metres in ticks],
    )


def _drawing(export_: Export) -> Drawn:
    draft = export_.told.draft
    has_micro = any(area.kind == "micro" for area in draft.inside())
    areas = []
    for area in draft.inside():
        fine = area.kind in GRIDS and not (has_micro and area.kind == "comprehensive")
        changed = draft.areas.get(area.code)
        fill = None
        if changed is not None and not changed.touched:
            fill = "changed" if area.code in draft.base.row else "new"
        lines: tuple[str, ...] = () if area.kind in GRIDS else (area.name,)
        if fine:
            number = export_.told.households.get(area.code, 0)
            lines = (_short(draft, area), *([f"{number} 户"] if number or area.kind != "dedicated" else []))
        areas.append(Area(geom=area.geom, lines=lines, fill=fill, coarse=not fine))
    scope = draft.get(draft.scope)
    assert scope is not None  # noqa: S101  # no edit retires what it works inside
    areas.append(Area(geom=scope.geom, coarse=True))
    with export_.service.database.reader() as session:
        streets = read_streets(session, scope.geom)
    lines_of = plan_layers.borders(draft).values()
    around = shapely.box(*scope.geom.bounds).buffer(0.001)
    near = shapely.intersects(streets.geom, around) if len(streets.geom) else np.empty(0, dtype=bool)
    content = Content(
        areas=areas,
        streets=[
            (line, kind == "river") for line, kind in zip(streets.geom[near], streets.kind[near], strict=True)
        ],
        gone=[gone for gone, _ in lines_of if not gone.is_empty],
        come=[come for _, come in lines_of if not come.is_empty],
    )
    return printed_map.drawn(content, *MAP_MM)


def _short(draft: Draft, area: PlannedArea) -> str:
    """A grid's code on the map: what follows the code of the jurisdiction in which it stands, whose name is there."""
    for code in draft.path(area.code).split(".")[-2::-1]:
        above = draft.get(code)
        if above is not None and above.kind not in GRIDS:
            return area.code.removeprefix(code) or area.code
    return area.code


def _page(export_: Export) -> Response:
    told = export_.told
    now = export_.now.astimezone(dt.UTC)
    events = plan_impact_shapes.events(export_.service, export_.principal, told, now)
    buildings = plan_impact_shapes.buildings(export_.principal, told, most=0)
    history = [
        {
            "kind": KINDS.get(each.kind, each.kind),
            "change": f"{CHANGES[each.change]} {each.change}",
            "old": each.old,
            "new": each.new,
            "households": each.households,
        }
        for each in told.impact.grids
    ]
    return _paper(
        export_,
        "plan_page.html",
        history=history[:MOST_ROWS],
        more=max(0, len(history) - MOST_ROWS),
        buildings=buildings,
        events=events,
        people=[each for each in told.impact.people if each.old != each.new][:MOST_ROWS],
        grids=sum(area.kind in GRIDS for area in told.draft.inside()),
        retired=told.impact.retired,
        born=told.impact.born,
        checks=told.checks,
    )


def _paper(export_: Export, template: str, **values: Any) -> Response:
    body = rendering.stand_alone(
        template,
        {
            "plan": export_.told.plan,
            "scope": export_.scope,
            "state": export_.state,
            "day": export_.now.date().isoformat(),
            "mark": export_.mark,
            "title": export_.service.settings.title,
            **values,
        },
    )
    headers = {"Content-Security-Policy": PAPER_POLICY, "Cache-Control": "private, no-store"}
    return HTMLResponse(body, headers=headers)


__all__ = ["PACKAGE", "SHEET", "Format", "export"]
