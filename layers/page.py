"""A stand-alone folium map of heat that loads nothing from elsewhere: Leaflet stands inside the page.

    heat_map_page([("矛盾纠纷", answer), ("蜂窝", hexagons)], title="云江县", language="zh")

One layer is shown at a time, with its legend; the names of areas are data and are escaped.
"""

import base64
import html
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from layers import classes, colors
from layers.answer import Heat

VENDOR = Path(__file__).with_name("vendor") / "leaflet"
# Nothing else on the page has an id that begins so.
_HATCH = "gridmap-withheld"

_WORDS = {
    "zh": {
        "count": "件数",
        "per_100_households": "每百户事件",
        "change": "同比变化（%）",
        "hotspot": "聚集显著性（Gi* z 值）",
        "none": "无事件",
        "null": "无数值",
        "withheld": "少于 {k} 件，不显示数值",
        "events": "{n} 件",
        "households": "{n} 户",
        "below": "＜ {x}",
        "from": "≥ {x}",
        "areas": "个",
        "edition": "第 {n} 版边界",
    },
    "en": {
        "count": "Events",
        "per_100_households": "Events per 100 households",
        "change": "Change (%)",
        "hotspot": "Clustering (Gi*, z)",
        "none": "No event",
        "null": "No value",
        "withheld": "Fewer than {k}, not shown",
        "events": "{n} events",
        "households": "{n} households",
        "below": "< {x}",
        "from": "≥ {x}",
        "areas": "",
        "edition": "Boundaries of edition {n}",
    },
}


@cache
def _library() -> tuple[str, str]:
    """Leaflet's script and style sheet, its pictures inside."""
    style = (VENDOR / "leaflet.css").read_text()
    for name in ("layers.png", "layers-2x.png"):
        picture = base64.b64encode((VENDOR / name).read_bytes()).decode()
        style = style.replace(f"url(images/{name})", f"url(data:image/png;base64,{picture})")
    style = style.replace("url(images/marker-icon.png)", "none")
    return (VENDOR / "leaflet.js").read_text(), style


def heat_map_page(
    layers: Sequence[tuple[str, Heat]],
    *,
    title: str,
    language: str = "zh",
    basemap_url: str | None = None,
) -> str:
    """A whole HTML page.

    Args:
        layers: a name and an answer each; the first is shown.
        title: of the page; escaped.
        language: `zh` or `en`.
        basemap_url: raster tiles to draw below; by default none, and the page needs no network.
    """
    import folium  # noqa: PLC0415  # brings pandas and requests along: only who asks for a page pays

    words = _WORDS[language]
    page = folium.Map(tiles=None, control_scale=True, zoom_control=True, prefer_canvas=False)
    page.default_js, page.default_css = [], []
    frame: Any = page.get_root()
    script, style = _library()
    _put(frame.header, "leaflet", f"<script>{script}</script>")
    _put(frame.header, "leaflet_css", f"<style>{style}{_STYLE}</style>")
    _put(frame.header, "title", f"<title>{html.escape(title)}</title>")
    _put(frame.html, "title_bar", f'<h1 class="gm-title">{html.escape(title)}</h1>')
    if basemap_url:
        folium.TileLayer(basemap_url, attr=" ", control=False).add_to(page)
    for number, (name, heat) in enumerate(layers):
        _layer(folium, heat, html.escape(name), words, show=number == 0).add_to(page)
        _put(frame.html, f"legend{number}", _legend(heat, name, words, hidden=number > 0))
    folium.LayerControl(collapsed=False, position="topright").add_to(page)
    _put(frame.html, "hatch", _PATTERN)
    _put(frame.script, "legends", _SWITCH.replace("MAP", page.get_name()))
    bounds = _bounds([heat for _, heat in layers])
    if bounds is not None:
        page.fit_bounds(bounds)
    rendered: str = frame.render()
    return rendered


def _put(parent: Any, name: str, text: str) -> None:
    """Adds text as it is: branca would read braces in it as a template."""
    from branca.element import Element  # noqa: PLC0415  # as folium

    parent.add_child(Element("{% raw %}" + text.replace("{% endraw %}", "") + "{% endraw %}"), name=name)


def _bounds(heats: Sequence[Heat]) -> list[list[float]] | None:
    import shapely  # noqa: PLC0415  # as folium

    boxes = [shapely.total_bounds(heat.outlines.geometries()) for heat in heats if len(heat)]
    if not boxes:
        return None
    stacked = np.array(boxes)
    west, south = stacked[:, :2].min(axis=0).tolist()
    east, north = stacked[:, 2:].max(axis=0).tolist()
    return [[south, west], [north, east]]


def _layer(folium: Any, heat: Heat, name: str, words: dict[str, str], *, show: bool) -> Any:
    """A heat's features with their colours and tips; an empty one is still in the switch."""
    fills = _fills(heat)
    features = [
        {"type": "Feature", "geometry": json.loads(shape), "properties": {"fill": fill, "tip": tip}}
        for shape, fill, tip in zip(heat.outlines.json("wgs84"), fills, _tips(heat, words), strict=True)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    if not features:
        return folium.FeatureGroup(name=name, overlay=False, show=show)
    line = colors.palette()["ink"]
    return folium.GeoJson(
        collection,
        name=name,
        overlay=False,
        show=show,
        smooth_factor=0.3,
        style_function=lambda feature: {
            "fillColor": feature["properties"]["fill"],
            "fillOpacity": 0.92,
            "color": line,
            "weight": 0.6,
            "opacity": 0.35,
        },
        highlight_function=lambda _: {"weight": 2.5, "opacity": 1, "color": colors.palette()["brand"]},
        tooltip=folium.GeoJsonTooltip(["tip"], labels=False, sticky=True, class_name="gm-tip"),
    )


def _classed(heat: Heat) -> tuple[colors.Scheme, list[float]]:
    """Colours and lower bounds of the classes that can occur: what lies below the first may all be withheld."""
    shown = heat.value[~heat.withheld & np.isfinite(heat.value) & (heat.value != 0)]
    empty_below = (
        bool(heat.breaks) and heat.withhold_below is not None and bool((shown >= heat.breaks[0]).all())
    )
    edges = heat.breaks[1:] if empty_below else heat.breaks
    return colors.scheme(heat.measure, len(edges)), edges


def _fills(heat: Heat) -> list[str]:
    palette = colors.palette()
    scheme, edges = _classed(heat)
    steps = [palette[token] for token in scheme.tokens]
    fills = []
    for value, hidden in zip(heat.value.tolist(), heat.withheld.tolist(), strict=True):
        if hidden:
            fills.append(f"url(#{_HATCH})")
        elif value != value:  # noqa: PLR0124  # NaN
            fills.append(palette["surface-3"])
        elif value == 0 and scheme.zero:
            fills.append(palette[scheme.zero])
        else:
            fills.append(steps[int(classes.of(value, edges))])
    return fills


def _tips(heat: Heat, words: dict[str, str]) -> list[str]:
    """What is said over each feature: its name, the value, and the fraction behind it."""
    names = heat.code if heat.name is None else heat.name
    tips = []
    for row, name in enumerate(names):
        head = f"<b>{html.escape(str(name))}</b>"
        if heat.withheld[row]:
            tips.append(f"{head}<br>{words['withheld'].format(k=heat.withhold_below)}")
            continue
        parts = [words["events"].format(n=int(heat.count[row]))]
        if heat.households is not None:
            parts.append(words["households"].format(n=int(heat.households[row])))
        value = "" if heat.measure == "count" else f"{_said(float(heat.value[row]), heat.measure)} · "
        tips.append(f"{head}<br>{value}{' / '.join(parts)}")
    return tips


def _said(value: float, measure: str) -> str:
    if value != value:  # noqa: PLR0124  # NaN
        return "—"
    if measure == "count":
        return f"{value:,.0f}"
    return f"{value:+.0f} %" if measure == "change" else f"{value:.1f}"


def _legend(heat: Heat, name: str, words: dict[str, str], *, hidden: bool) -> str:
    """Classes from the highest to the lowest with the number of areas in each."""
    palette = colors.palette()
    scheme, edges = _classed(heat)
    lowest = heat.breaks[0] if len(edges) < len(heat.breaks) else None
    shown = ~heat.withheld & np.isfinite(heat.value)
    positive = shown & (heat.value != 0) if scheme.zero else shown
    which = classes.of(heat.value[positive], edges)
    rows = [
        (palette[token], _range(edges, step, words, lowest), int((which == step).sum()))
        for step, token in reversed(list(enumerate(scheme.tokens)))
    ]
    nothing = int((shown & (heat.value == 0)).sum())
    if scheme.zero and nothing:
        rows.append((palette[scheme.zero], words["none"], nothing))
    empty = int((~heat.withheld & ~np.isfinite(heat.value)).sum())
    if empty:
        rows.append((palette["surface-3"], words["null"], empty))
    if heat.withheld.any():
        label = words["withheld"].format(k=heat.withhold_below)
        rows.append((f"url(#{_HATCH})", label, int(heat.withheld.sum())))
    lines = "".join(
        f'<tr><td><svg width="18" height="12"><rect width="18" height="12" fill="{fill}" stroke="#BCC7CB"/></svg></td>'
        f"<td>{label}</td><td>{number}</td></tr>"
        for fill, label, number in rows
    )
    edition = words["edition"].format(n=heat.edition)
    return (
        f'<div class="gm-legend" data-layer="{html.escape(name, quote=True)}"{" hidden" if hidden else ""}>'
        f"<b>{words[heat.measure]}</b><table>{lines}</table><small>{edition}</small></div>"
    )


def _range(breaks: Sequence[float], step: int, words: dict[str, str], lowest: float | None) -> str:
    first = None if lowest is None else f"{lowest:g}"
    low = f"{breaks[step - 1]:g}" if step else first
    high = f"{breaks[step]:g}" if step < len(breaks) else None
    if low is None and high is None:
        return "＞ 0"
    if low is None:
        return words["below"].format(x=high)
    return words["from"].format(x=low) if high is None else f"{low} – {high}"


_STYLE = """
html,body{margin:0;height:100%;background:#EAEEEC;color:#14222A;font:13px/1.5 "PingFang SC","Microsoft YaHei",
"Noto Sans CJK SC","Source Han Sans SC",system-ui,sans-serif}
.leaflet-container{background:#EAEEEC;font:inherit}
.gm-title{position:fixed;z-index:1000;top:12px;left:56px;margin:0;padding:6px 12px;font-size:16px;background:#fff;
border-radius:10px;box-shadow:0 1px 0 #DEE4E6}
.gm-legend{position:fixed;z-index:1000;left:12px;bottom:64px;background:#fff;border-radius:10px;padding:10px 12px;
font-variant-numeric:tabular-nums;box-shadow:0 6px 20px #14222a26}
.gm-legend[hidden]{display:none}.gm-legend td{padding:1px 8px 1px 0}
.gm-legend td:last-child{text-align:right;color:#5F6E77}
.gm-legend small{color:#5F6E77}
.gm-tip{background:#14222A;color:#fff;border:0;border-radius:6px;padding:6px 10px;box-shadow:none}
.gm-tip:before{display:none}.gm-tip table,.gm-tip td{color:#fff;margin:0;padding:0}
"""
_PATTERN = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    f'<pattern id="{_HATCH}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fff"/><line x1="0" y1="0" x2="0" y2="6" stroke="#9AA8AE" stroke-width="1.4"/>'
    "</pattern></defs></svg>"
)
# folium writes the map after what is put here, so the listener waits for the whole page.
_SWITCH = """
window.addEventListener('load', function () {
  MAP.on('baselayerchange', function (event) {
    var name = document.createElement('textarea'); name.innerHTML = event.name;
    document.querySelectorAll('.gm-legend').forEach(function (legend) {
      legend.hidden = legend.dataset.layer !== name.value;
    });
  });
});
"""
