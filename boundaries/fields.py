"""Which column holds what: named by the caller, else by what the column is called, in 中文 or English."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gridmap.errors import InvalidInput

NOUNS: Final = ("areas", "buildings", "streets", "workers", "events")

_CODE = (
    "code",
    "编码",
    "代码",
    "编号",
    "区划代码",
    "行政区划代码",
    "网格编码",
    "统计用区划代码",
    "adcode",
    "geoid",
)
_NAME = ("name", "名称", "网格名称", "区划名称", "名字")
_PLACE: Final[Mapping[str, tuple[str, ...]]] = {
    "x": ("lon", "lng", "long", "longitude", "经度", "x", "x坐标", "东坐标", "easting"),
    "y": ("lat", "latitude", "纬度", "y", "y坐标", "北坐标", "northing"),
    "wkt": ("wkt", "geometry", "geom", "the_geom", "shape", "图形", "几何"),
}

# For every noun its fields, each with the column names that are taken for it, the likeliest first.
FIELDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "areas": {
        "code": _CODE,
        "name": _NAME,
        "kind": ("kind", "类型", "区域类型", "级别", "level"),
        "parent": ("parent", "上级", "上级编码", "父级", "parent_code", "上级代码"),
        "setting": ("setting", "城乡类型", "网格类型", "城乡分类"),
        "households": ("households", "户数", "常住户", "常住户数"),
        **_PLACE,
    },
    "buildings": {
        "code": (*_CODE, "楼栋编码", "id", "osm_id", "uid", "fid"),
        "name": (*_NAME, "楼栋名称", "楼名", "地址", "address"),
        "kind": ("kind", "类型", "用途", "楼栋类型", "building"),
        "households": ("households", "户数", "常住户", "常住户数", "household"),
        "keep_together": ("keep_together", "同组", "小区", "村民小组", "小区名称"),
        **_PLACE,
    },
    "streets": {
        "code": (*_CODE, "道路编码", "id", "osm_id", "fid"),
        "name": (*_NAME, "道路名称", "路名", "街道名称"),
        "class": ("class", "等级", "道路等级", "类型", "highway", "fclass"),
        **_PLACE,
    },
    "workers": {
        "code": (*_CODE, "工号", "人员编号"),
        "name": ("name", "姓名", "名称", "名字"),
        "role": ("role", "角色", "岗位", "职务"),
        "capacity": ("capacity", "在办上限", "容量"),
        "unit": ("unit", "单位", "单位编码", "所属单位"),
        "unit_name": ("unit_name", "单位名称"),
        "unit_kind": ("unit_kind", "单位类型"),
        "areas": ("areas", "area", "负责网格", "责任网格", "负责区域", "所属网格"),
        "shifts": ("shifts", "班次", "值班", "工作时间"),
    },
    "events": {
        "source": ("source", "来源", "数据来源"),
        # no plain `id`: many files number every row 0, or anew in every export
        "external_id": (
            "external_id",
            "event_id",
            "case_id",
            "事件编号",
            "工单编号",
            "警情编号",
            "案件编号",
            "编号",
        ),
        "category": ("category", "类别", "事件类别", "类型"),
        "subcategory": ("subcategory", "子类", "小类", "事件小类"),
        "urgency": ("urgency", "紧急程度"),
        "occurred_at": ("occurred_at", "发生时间", "事发时间", "时间", "time", "date", "日期"),
        "accuracy_m": ("accuracy_m", "精度", "精度米"),
        "grid": ("grid", "网格", "网格编码", "所属网格"),
        "address": ("address", "地址", "事发地址", "地点"),
        "title": ("title", "标题", "事件名称", "事由"),
        "description": ("description", "描述", "事件描述", "内容", "简要案情"),
        "contact": ("contact", "联系方式", "联系电话", "电话"),
        "due_at": ("due_at", "截止时间", "办结期限"),
        "stated": (),
        "count": (),
        **_PLACE,
    },
}

# Fields that only make sense together with what is in the file, not as a constant for all rows.
NO_CONSTANT: Final = frozenset({"code", "external_id", "x", "y", "wkt", "count"})
SHORT: Final = 10
SYNONYMS: Final = {"lon": "x", "lng": "x", "longitude": "x", "lat": "y", "latitude": "y", "geometry": "wkt"}


@dataclass(frozen=True)
class Mapped:
    """Which column holds which field, and which fields are the same for all rows.

    Attributes:
        columns: column name by field.
        constants: text by field.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        return name in self.columns or name in self.constants

    def describe(self) -> str:
        """`code ← GEOID, name ← NAME, category = other`."""
        parts = [f"{name} ← {column}" for name, column in self.columns.items()]
        return ", ".join([*parts, *(f"{name} = {value}" for name, value in self.constants.items())])


def map_fields(
    noun: str,
    columns: Sequence[str],
    given: Mapping[str, str],
    constants: Mapping[str, str],
    *,
    file: str,
) -> Mapped:
    """Finds a column for every field that can be found.

    Args:
        noun: one of `NOUNS`.
        columns: of the file.
        given: column by field, as the caller named them; goes before what names suggest. `-` means that no
            column is taken for the field.
        constants: value by field for all rows; goes before both.
        file: its name, for errors.

    Raises:
        InvalidInput: an unknown field, or a column that the file does not have; both list what there is.
    """
    known = FIELDS[noun]
    for name in (*given, *constants):
        if name not in known:
            raise InvalidInput(
                f"{name!r} is no field of {noun}; fields are {', '.join(known)}", code="unknown_field"
            )
    for name in constants:
        if name in NO_CONSTANT:
            raise InvalidInput(f"{name} cannot be the same for all rows", code="bad_constant")
    found = {
        name: _given_column(name, column, columns, file) for name, column in given.items() if column != "-"
    }
    taken = set(found.values())
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(_plain(column), column)
    for name, aliases in known.items():
        if name in given or name in constants:
            continue
        likely = dict.fromkeys(_plain(each) for each in (*aliases, *map(_cut, aliases)))
        fitting = (by_name[each] for each in likely if each in by_name)
        likeliest = next((each for each in fitting if each not in taken), None)
        if likeliest is not None:
            found[name] = likeliest
            taken.add(likeliest)
    ordered = {name: found[name] for name in known if name in found}
    return Mapped(ordered, dict(constants))


def require(mapped: Mapped, names: Iterable[str], columns: Sequence[str], *, file: str) -> None:
    """Checks that fields have a column or a constant.

    Raises:
        InvalidInput: names the missing fields and lists the columns.
    """
    missing = [name for name in names if name not in mapped]
    if missing:
        options = " ".join(
            f"--fields {name}=COLUMN"
            if name in NO_CONSTANT
            else f"--fields {name}=COLUMN (or --set {name}=…)"
            for name in missing
        )
        raise InvalidInput(
            f"{file} has no column for {', '.join(missing)}. Name it: {options}."
            f" Its columns are {_listed(columns)}",
            code="missing_columns",
            findings=[{"file": file, "field": name, "message": "no column for it"} for name in missing],
        )


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    r"""`code=GEOID,name=NAME` as a mapping; a comma inside a name is written `\,`.

    Raises:
        InvalidInput: a part without `=`, or a field named twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        for part in text.replace("\\,", "\0").split(","):
            name, equals, value = part.replace("\0", ",").partition("=")
            name = SYNONYMS.get(name.strip(), name.strip())
            if not equals or not name or not value.strip() or name in pairs:
                raise InvalidInput(
                    f"{option} {text!r}: written as FIELD=VALUE,FIELD=VALUE, each field once",
                    code="bad_fields",
                )
            pairs[name] = value.strip()
    return pairs


def _given_column(name: str, column: str, columns: Sequence[str], file: str) -> str:
    if column in columns:
        return column
    close = [each for each in columns if _plain(each) == _plain(column)]
    if len(close) == 1:
        return close[0]
    raise InvalidInput(
        f"--fields {name}={column}: {file} has no such column; it has {_listed(columns)}",
        code="unknown_column",
        findings=[{"file": file, "field": name, "value": column, "message": "no such column"}],
    )


def _cut(name: str) -> str:
    """As a Shapefile in UTF-8 cuts it after ten bytes: 网格编码 to 网格编."""
    return name.encode()[:SHORT].decode("utf-8", "ignore")


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(column for column in columns if column) or "none"


def _plain(name: str) -> str:
    return "".join(name.casefold().split()).replace("_", "").replace("-", "")
