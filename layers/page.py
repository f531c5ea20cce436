"""A stand-alone folium map of heat that loads nothing from elsewhere: Leaflet stands inside the page.

    heat_map_page([("矛盾纠纷", answer), ("蜂窝", hexagons)], title="云江县", language="zh")

One layer is shown at a time, with its legend. Names of areas are data: they travel as JSON with every `<` escaped
and are set as text, never as markup. Outlines stand in the page once, however many layers draw them, rounded to a
millionth of a degree (a tenth of a metre); folium's own GeoJson takes ten times the bytes and a hundred the time.
"""

import base64
import html
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from layers import colors
from layers.answer import Heat
from layers.legend import brief, legend

_VENDOR = Path(__file__).with_name("vendor") / "leaflet"
_ASSETS = Path(__file__).with_name("assets")
_FINE = 1_000_000  # parts of a degree
_WORDS = {
    "zh": {
        "events": "{n} 件",
        "households": "{n} 户",
        "per_100_households": "{x} 件/百户",
        "change": "同比 {x}%",
        "hotspot": "z = {x}",
        "before": "对比期 {n} 件",
        "withheld": "少于 {k} 件，不显示数值",
        "few": "件数太少，不比",
        "nobody": "无住户",
        "edition": "第 {n} 版边界",
        "then": "按发生时边界",
        "not_shown": "少于 {k} 件的不显示数值，以免指认住户；合计仍计入。",
        "significance": "显著性，不是数量。",
        "hex": "只供查看，不用于考核。",
    },
    "en": {
        "events": "{n} events",
        "households": "{n} households",
        "per_100_households": "{x} per 100 households",
        "change": "{x} % against the period before",
        "hotspot": "z = {x}",
        "before": "{n} before",
        "withheld": "Fewer than {k}, not shown",
        "few": "Too few to compare",
        "nobody": "Nobody lives here",
        "edition": "Boundaries of edition {n}",
        "then": "Boundaries as they were",
        "not_shown": "Fewer than {k} are not shown, so that nobody can be recognised; totals include them.",
        "significance": "Significance, not amount.",
        "hex": "For looking, not for ranking.",
    },
}


def heat_map_page(
    layers: Sequence[tuple[str, Heat]],
    *,
    title: str,
    language: str = "zh",
    basemap_url: str | None = None,
    dark: bool = False,
    mark: str = "",
) -> str:
    """A whole HTML page.

    Args:
        layers: a name and an answer each; the first is shown.
        title: of the page.
        language: `zh` or `en`.
        basemap_url: raster tiles to draw below; by default none, and the page needs no network.
        dark: for a wall screen.
        mark: who took it out, when and why; stands below the title.
    """
    import folium  # noqa: PLC0415  # 80 MB that only who asks for a page pays

    page = folium.Map(tiles=None, zoom_control=True, prefer_canvas=True, zoom_snap=0.25)
    page.default_js, page.default_css = [], []
    frame: Any = page.get_root()
    frame.title = html.escape(title)
    _put(frame.header, "leaflet", _library(dark=dark))
    if basemap_url:
        folium.TileLayer(basemap_url, attr=" ", control=False).add_to(page)
    data = _data(layers, title, language, dark=dark)
    if mark:
        data["subtitle"] = f"{data['subtitle']} · {mark}"
    _put(frame.script, "data", f"const gridmapData = {_json(data)};")
    _put(page, "frame", f"gridmapFrame({page.get_name()}, gridmapData);", macro="script")
    for number, (name, _) in enumerate(layers):
        _folium_layer(folium)(html.escape(name), number, show=number == 0).add_to(page)
    if len(layers) > 1:
        folium.LayerControl(collapsed=False, position="topright").add_to(page)
    rendered: str = frame.render()
    return rendered


@cache
def _folium_layer(folium: Any) -> Any:
    """The kind of folium layer that draws an answer; folium's layer control knows it like any other."""
    from folium.template import Template  # noqa: PLC0415  # as folium

    class HeatLayer(folium.map.Layer):  # type: ignore[misc]  # folium has no types
        _template = Template(
            "{% macro script(this, kwargs) %}"
            "var {{ this.get_name() }} = gridmapHeat(gridmapData, {{ this.number }});"
            "{% endmacro %}"
        )

        def __init__(self, name: str, number: int, *, show: bool) -> None:
            super().__init__(name=name, overlay=False, show=show)
            self._name = "HeatLayer"
            self.number = number

    return HeatLayer


def _put(parent: Any, name: str, text: str, *, macro: str | None = None) -> None:
    """Adds text as it is: what stands in it is no template, whatever braces it has."""
    from branca.element import Element, MacroElement  # noqa: PLC0415  # as folium
    from jinja2 import Template  # noqa: PLC0415  # as folium

    element: Any = MacroElement() if macro else Element()  # type: ignore[no-untyped-call]  # branca has few
    element.text = text
    body = "{{ this.text }}"
    element._template = Template(  # noqa: SLF001  # how branca's elements are made
        f"{{% macro {macro}(this, kwargs) %}}{body}{{% endmacro %}}" if macro else body
    )
    parent.add_child(element, name=name)


@cache
def _library(*, dark: bool) -> str:
    """Leaflet's script and style sheet, its pictures inside, then our own."""
    style = (_VENDOR / "leaflet.css").read_text(encoding="utf-8")
    for name in ("layers.png", "layers-2x.png"):
        picture = base64.b64encode((_VENDOR / name).read_bytes()).decode()
        style = style.replace(f"url(images/{name})", f"url(data:image/png;base64,{picture})")
    style = style.replace("url(images/marker-icon.png)", "none")
    tokens = "".join(f"--{token}:{colour};" for token, colour in colors.palette(dark=dark).items())
    own = (_ASSETS / "heat-map.css").read_text(encoding="utf-8")
    script = (_VENDOR / "leaflet.js").read_text(encoding="utf-8")
    drawing = (_ASSETS / "heat-map.js").read_text(encoding="utf-8")
    return f"<style>{style}:root{{{tokens}}}{own}</style><script>{script}</script><script>{drawing}</script>"


def _json(data: object) -> str:
    """JSON that cannot end the script around it, whatever strings it holds."""
    text = orjson.dumps(data).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _data(layers: Sequence[tuple[str, Heat]], title: str, language: str, *, dark: bool) -> dict[str, object]:
    words = _WORDS[language]
    places: dict[tuple[str, ...], int] = {}
    drawn, shown, boxes = [], [], []
    for _, answer in layers:
        key = (answer.by, answer.kind, *answer.code.tolist())
        if key not in places:
            places[key] = len(places)
            shapes = answer.outlines.geometries()
            drawn.append(
                {
                    "names": (answer.code if answer.name is None else answer.name).tolist(),
                    "shapes": _rings(shapes),
                }
            )
            boxes.append(shapely.total_bounds(shapes) if len(shapes) else np.full(4, np.nan))
        told = legend(answer, language)
        entries = [
            {"key": one.key, "token": one.token, "label": one.label, "number": one.number}
            for one in told.entries
        ]
        shown.append(
            {
                "places": places[key],
                "legend": {"title": told.title, "entries": entries},
                "keys": told.of.tolist(),
                "lines": _lines(answer, words),
                "notes": _notes(answer, words),
            }
        )
    return {
        "title": title,
        "subtitle": _subtitle(layers[0][1], words) if layers else "",
        "bounds": _bounds(np.array(boxes)),
        "colours": dict(colors.palette(dark=dark)),
        "places": drawn,
        "layers": shown,
    }


def _bounds(boxes: NDArray[np.float64]) -> list[list[float]] | None:
    boxes = boxes.reshape(-1, 4)
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        return None
    west, south = boxes[:, :2].min(axis=0).tolist()
    east, north = boxes[:, 2:].max(axis=0).tolist()
    return [[south, west], [north, east]]


def _rings(shapes: NDArray[np.object_]) -> list[list[list[list[int]]]]:
    """Polygons of rings of whole numbers, each the step from the one before; rings are not closed."""
    found = []
    for shape in shapes:
        parts = []
        for polygon in shapely.get_parts(shape):
            rings = []
            for ring in (polygon.exterior, *polygon.interiors):
                places = np.rint(shapely.get_coordinates(ring)[:-1] * _FINE).astype(np.int64)
                rings.append(np.diff(places, axis=0, prepend=0).ravel().tolist())
            parts.append(rings)
        found.append(parts)
    return found


def _lines(answer: Heat, words: Mapping[str, str]) -> list[str]:
    """What is said over each feature below its name: the value, then the fraction behind it."""
    lines = []
    households = [None] * len(answer) if answer.households is None else answer.households.tolist()
    before = [-1] * len(answer) if answer.before is None else answer.before.tolist()
    columns = (answer.count.tolist(), answer.value.tolist(), answer.withheld.tolist(), households, before)
    for count, value, hidden, homes, earlier in zip(*columns, strict=True):
        parts = []
        if answer.measure != "count" and value == value:  # noqa: PLR0124  # NaN
            number = f"{value:+.0f}" if answer.measure == "change" else brief(value)
            parts.append(words[answer.measure].format(x=number))
        elif answer.measure == "change" and not hidden:
            parts.append(words["few"])
        elif answer.measure == "per_100_households" and not hidden:
            parts.append(words["nobody"])
        if hidden:
            parts.append(words["withheld"].format(k=answer.withhold_below))
        else:
            parts.append(words["events"].format(n=f"{count:,}"))
        if earlier >= 0:
            parts.append(words["before"].format(n=f"{earlier:,}"))
        elif homes:
            parts.append(words["households"].format(n=f"{homes:,}"))
        lines.append(" · ".join(parts))
    return lines


def _notes(answer: Heat, words: Mapping[str, str]) -> list[str]:
    notes = []
    if answer.by == "hex":
        notes.append(words["hex"])
    if answer.measure == "hotspot":
        notes.append(words["significance"])
    if answer.withheld.any():
        notes.append(words["not_shown"].format(k=answer.withhold_below))
    return notes


def _subtitle(answer: Heat, words: Mapping[str, str]) -> str:
    period = f"{answer.period.since:%Y-%m-%d} — {answer.period.until:%Y-%m-%d}"
    edition = words["then"] if answer.boundaries == "then" else words["edition"].format(n=answer.edition)
    return f"{period} · {edition}"
