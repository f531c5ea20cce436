"""Reasons in words: why this grid, why this worker. Stored as codes, said in the reader's language."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gridmap.snapshot import Snapshot

LANGUAGES = ("zh", "en")

_TEXTS: Mapping[str, tuple[str, str]] = {
    "inside": ("落在 {grid} 界内", "Inside {grid}"),
    "inside_far": (
        "落在 {grid} 界内，距最近边界 {border_m} m（邻 {neighbour}）",
        "Inside {grid}, {border_m} m from the nearest border (next to {neighbour})",
    ),
    "inside_edge": (
        "落在 {grid} 界内，距最近边界 {border_m} m（界外无邻格）",
        "Inside {grid}, {border_m} m from the nearest border (no grid beyond)",
    ),
    "border": (
        "正好在边界上，按编码最小者归 {grid}",
        "Exactly on a border; the smallest code of those it touches is {grid}",
    ),
    "nearest": (
        "不在任何网格内，就近归 {grid}，相距 {distance_m} m（同村）",
        "In no grid; {grid} of the same village is the nearest, {distance_m} m away",
    ),
    "jurisdiction": ("未入格，在 {area} 辖区内", "In no grid, within {area}"),
    "stated": ("来源未给可用位置，按其指明的 {area}", "No usable place given; the source stated {area}"),
    "stated_differs": (
        "来源指明 {stated}，与所在位置不符",
        "The source stated {stated}, which is not where the place lies",
    ),
    "stated_unknown": (
        "来源指明的 {stated} 不是您辖区内的现行编码",
        "The source stated {stated}, which is no living code within your areas",
    ),
    "succeeded": (
        "来源指明的 {stated} 已撤销，由 {area} 承接",
        "The source stated {stated}, which is no more; {area} has its land",
    ),
    "handover": (
        "网格调整后属 {grid}；已受理，仍由原承办人办理，可移交",
        "Since a redraw it lies in {grid}; who accepted it keeps it and may hand it over",
    ),
    "outside": ("位置不在任何区域内", "The place lies in no area"),
    "no_place": ("没有位置，也没有指明网格", "No place and no grid was given"),
    "dedicated": ("专属网格 {grid} 先于微网格", "The dedicated grid {grid} goes before the micro-grid"),
    "no_dedicated": ("专属网格：未命中", "No dedicated grid holds it"),
    "accuracy": (
        "来源定位误差 ±{accuracy_m} m，大于距边界；如有异议可转 {neighbour}",
        "The source's accuracy of ±{accuracy_m} m exceeds the distance to the border; {neighbour} may claim it",
    ),
    "worker": ("{role}，在岗且有余力：{name}", "{role}, on duty and below capacity: {name}"),
    "unit": ("无合适人员在岗，转入 {name} 待办", "Queue of {name}"),
    "station": ("警情归辖区派出所：{name}", "A police case goes to its precinct: {name}"),
    "nobody": ("无人可派，待派单台处理", "Nobody can take it; the dispatch desk decides"),
}

ROLE_NAMES: Mapping[str, tuple[str, str]] = {
    "leader": ("网格长", "Grid leader"),
    "worker_full_time": ("专职网格员", "Full-time worker"),
    "worker_part_time": ("兼职网格员", "Part-time worker"),
    "liaison": ("联络员", "Liaison"),
    "party_backbone": ("党员骨干", "Party backbone"),
    "volunteer": ("志愿者", "Volunteer"),
    "guide": ("指导员", "Guide"),
    "supervisor": ("监督员", "Supervisor"),
    "building_head": ("楼栋长", "Building head"),
    "police": ("社区民警", "Community police"),
    "mediator": ("调解员", "Mediator"),
    "judge": ("法官", "Judge"),
    "prosecutor": ("检察官", "Prosecutor"),
    "counsel": ("法律顾问", "Counsel"),
}

_AREA_PARAMETERS = ("grid", "area", "neighbour", "stated")


def as_told(reasons: Sequence[Sequence[Any]], knows: Callable[[str], bool]) -> list[list[Any]]:
    """Reasons as somebody may be told them: a grid that the source stated, and that they do not know, is like no code.

    Args:
        reasons: [mark, code, parameters] each.
        knows: whether an area's code lies within what they see.
    """
    return [
        [mark, "stated_unknown", parameters]
        if code == "stated_differs" and not knows(str(parameters.get("stated")))
        else [mark, code, parameters]
        for mark, code, parameters in reasons
    ]


def in_words(
    reasons: Sequence[Sequence[Any]], language: str, name: Callable[[str], str]
) -> list[dict[str, str]]:
    """Reasons as `{mark, code, text}`.

    Args:
        reasons: [mark, code, parameters] each.
        language: `zh` or `en`.
        name: says an area's code in words.
    """
    which = LANGUAGES.index(language)
    said = []
    for mark, code, parameters in reasons:
        values = {
            key: name(str(value)) if key in _AREA_PARAMETERS and code != "stated_unknown" else value
            for key, value in parameters.items()
        }
        if "role" in values:
            values["role"] = ROLE_NAMES.get(values["role"], (values["role"],) * 2)[which]
        form = "station" if code == "unit" and parameters.get("kind") == "police_station" else code
        if code == "inside" and "border_m" in values:
            form = "inside_far" if "neighbour" in values else "inside_edge"
        text = _TEXTS[form][which].format_map(_Known(values)) if form in _TEXTS else code
        said.append({"mark": str(mark), "code": str(code), "text": text})
    return said


class _Known(dict[str, Any]):
    """Parameters that an older version did not store are said as a dash, not as an error."""

    def __missing__(self, key: str) -> str:
        return "—"


def area_in_words(snapshot: Snapshot) -> Callable[[str], str]:
    """A way to say an area's code: its name with the village before it, where it is a grid."""

    def say(code: str) -> str:
        row = snapshot.row.get(code)
        if row is None:
            return code
        said: str | None = snapshot.said.get(("words", code))
        if said is None:
            said = snapshot.said["words", code] = in_full(row)
        return said

    def in_full(row: int) -> str:
        villages = [above for above in snapshot.ancestors(row) if snapshot.kind[above] == "village"]
        if villages and villages[0] != row:
            return f"{snapshot.name[villages[0]]} {snapshot.name[row]}"
        return str(snapshot.name[row])

    return say
