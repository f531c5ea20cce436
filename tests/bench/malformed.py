"""Input as it should not be: files, texts, numbers and JSON, made by a seed alone so that each can be made again."""

import gzip
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

NASTY_NUMBERS = (
    "0", "-0", "-1", "1e308", "-1e309", "1e999", "NaN", "nan", "Infinity", "-inf", "0x10", "1_000", "１２", "٣", "²",
    "1e-400", "9" * 30, "9" * 400, "2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "1.", ".5", "+1", "1,2", "1;2", "true", "null", "", " ", "1 ", "\u00a01",
)  # fmt: skip
NASTY_TEXTS = (
    "\x00", "a\x00b", "\ufffe", "\uffff", "\U0010ffff", "é", "e\u0301", "\u202e", "\u200b", "🏠", "'", '"', "\\", "%",
    "%00", "%ff", "_%_%", "; DROP TABLE event", "' OR ''='", "../../etc/passwd", "${jndi:x}", "{{7*7}}", "<b>", "\r\n",
    "\n", "\t", "x" * 70_000, "中" * 500, ",", ",,,,", "*", "!", "a.b.c", "[]", "{}", "[[[[", "=1+1", "@x", "-", "--",
)  # fmt: skip
NASTY_MOMENTS = (
    "0000-00-00", "0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30", "2026-13-01", "2026-8-1", "20260801",
    "2026-W01-1", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:60Z",
    "2026-08-01T24:00:00Z", "2026-08-01T00:00:00", "2026-08-01T00:00:00+25:00", "2026-08-01T00:00:00 08:00",
    "2026-08-01T00:00:00.123456789Z", "-0001-01-01", "1900-01-01T00:00:00+08:05:43", "2026-08-01T00:00:00+00:00:00.1",
    "1", "now", "infinity", "-infinity", "epoch", "1e3", "２０２６-08-01", "2026-08-01T00:00:00Z[Asia/Shanghai]",
)  # fmt: skip
NASTY_SYSTEMS = (
    "EPSG:0", "EPSG:-1", "EPSG:99999", "EPSG:4978", "EPSG:5773", "EPSG:4326+5773", "EPSG:9999999999", "EPSG:3857",
    "EPSG:2326", "EPSG:32749", "EPSG:4490", "epsg:4549", "EPSG:104030", "EPSG:1024", "EPSG:5041", "EPSG:٣",
    "urn:ogc:def:crs:EPSG::4326", "urn:ogc:def:crs:", "+proj=longlat", "+proj=pipeline +step", "GEOGCS[", "IGNF:LAMB93",
    "wgs84 ", "WGS-84", "wgs__84", "gcj-02", "bd09mc", "AUTO:42001", "ESRI:102003", "EPSG:", ":4326", "EPSG:4326:",
)  # fmt: skip
NASTY_PLACES = (
    "112,30", "30,112", "181,91", "112.0,nan", "inf,inf", "1e308,1e308", "112;30", "112,30,5", ",", "112,", "112 30",
    "112,30,112,30", "112,30,111,31", "-180,-90,180,90", "180,0,-180,0", "0,0,1e-320,1e-320", "1,2,3",
    "nan,nan,nan,nan", "112,30,113,1e400", "1,2,3,4,5",
)  # fmt: skip
NASTY_LISTS = (",", "dispute,,hazard", "dispute,\x00", "dispute," * 2000, "micro,province", "closed,Closed")
NASTY = (*NASTY_NUMBERS, *NASTY_TEXTS, *NASTY_MOMENTS, *NASTY_SYSTEMS, *NASTY_PLACES, *NASTY_LISTS)
NASTY_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 2**64, 10**400, 1e308, -0.0, [], {}, [[]], {"a": {}}, "", *NASTY,
)  # fmt: skip


def text(rng: random.Random, seeds: tuple[str, ...]) -> str:
    """A nasty text, or a good one with something wrong in it."""
    if rng.random() < 0.3:
        return rng.choice(NASTY)
    made = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, more = (
            rng.randrange(len(made) + 1),
            rng.choice((rng.choice(NASTY), chr(rng.randrange(1, 0xD7FF)))),
        )
        made = rng.choice(
            (made[:at] + more[:50] + made[at:], made[:at] + made[at + 1 :], made[:at], made + made)
        )
    return made[:100_000]


def spoilt(rng: random.Random, data: bytes) -> bytes:
    """A good file with something wrong in it: cut short, bits turned, numbers made huge, parts moved."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        # mostly anywhere, sometimes in the head, where counts and offsets stand
        at = rng.randrange(min(len(made), rng.choice((200, 1 << 30, 1 << 30))) + 1)
        rng.choice(_WAYS)(rng, made, at, rng.choice((1, 2, 4, 8, 64, 512)))
    return bytes(made)


def _cut(_: random.Random, made: bytearray, at: int, __: int) -> None:
    del made[at:]


def _turn(rng: random.Random, made: bytearray, _: int, length: int) -> None:
    for _ in range(length if made else 0):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, made: bytearray, at: int, length: int) -> None:
    made[at : at + length] = rng.choice((rng.randbytes(length), b"\x00" * length, b"\xff" * length))


def _promise(rng: random.Random, made: bytearray, at: int, _: int) -> None:
    huge = rng.choice((0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x10000000, 1, 0))
    made[at : at + 4] = struct.pack(rng.choice(("<I", ">I")), huge)


def _drop(_: random.Random, made: bytearray, at: int, length: int) -> None:
    del made[at : at + length]


def _repeat(_: random.Random, made: bytearray, at: int, length: int) -> None:
    made[at:at] = made[: length * 4]


def _append(rng: random.Random, made: bytearray, _: int, length: int) -> None:
    made += rng.randbytes(length)


def _label(rng: random.Random, made: bytearray, _: int, __: int) -> None:
    """In a zip archive: where it says how its parts are packed, and in what follows."""
    labels = [at for at in range(len(made) - 1) if made[at : at + 2] == b"PK"]
    if labels:
        at = rng.choice(labels) + rng.randrange(60)
        made[at : at + 1] = rng.randbytes(1)


_WAYS = (_cut, _turn, _overwrite, _promise, _drop, _repeat, _append, _label)


def json_value(rng: random.Random, good: dict[str, Any]) -> bytes:
    """A good object with fields missing, doubled, of other types or absurd; or no JSON at all."""
    made = dict(good)
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice([*good, *good, "extra", "\x00", "__proto__"])
        if rng.random() < 0.2:
            made.pop(name, None)
        else:
            made[name] = rng.choice(NASTY_VALUES)
    told = json.dumps(made, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    others = (
        spoilt(rng, told),
        told.replace(b'"title"', b'"title": "\\ud800", "title"', 1),
        told[:-1] + b', "accuracy_m": NaN}',
        b"[" * rng.choice((1, 500, 50_000)),
        b'{"a":' * rng.choice((2, 500, 20_000)),
        b"\xef\xbb\xbf" + told,
        told.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "gb18030")), "replace"),
    )
    return rng.choice(others) if rng.random() < 0.5 else told


def wkb(rng: random.Random) -> bytes:
    """Geometry in binary, whose counts may promise more than there is."""
    kind = rng.choice((1, 2, 3, 4, 5, 6, 7, 0, 15, 17, 1001, 3003, 0x20000003, 0xFFFFFFFF))
    head = struct.pack("<BI", rng.choice((1, 1, 1, 0, 7)), kind)
    counts = struct.pack("<I", rng.choice((0, 1, 2, 3, 4, 1000, 0x0FFFFFFF, 0xFFFFFFFF)))
    numbers = [
        rng.choice((0.0, 112.0, 1e308, float("nan"), float("inf"), -1e-320)) for _ in range(rng.randrange(12))
    ]
    return head + counts + struct.pack(f"<{len(numbers)}d", *numbers)


def geojson(rng: random.Random) -> bytes:
    """A collection whose geometries are no geometries."""
    deep: Any = [112, 30]
    for _ in range(rng.choice((1, 2, 3, 4, 5, 60, 400))):
        deep = [deep]
    nested: Any = {"type": "Point", "coordinates": [112, 30]}
    for _ in range(rng.choice((1, 10, 40))):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    shapes: list[Any] = [
        {"type": "Polygon", "coordinates": deep},
        nested,
        {"type": "Polygon", "coordinates": [[[112, 30], [112, 31], [113, 31]]]},
        {"type": "Polygon", "coordinates": [[[1e308, 1e308], [-1e308, 0], [0, -1e308], [1e308, 1e308]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": [[]]},
        {"type": "Point", "coordinates": ["112", None]},
        {"type": "Curve", "coordinates": [[0, 0], [1, 1]]},
        {
            "type": "Polygon",
            "coordinates": [[[112, 30, 5, 6], [112, 31], [113, 31, float("nan")], [112, 30]]],
        },
        None,
        7,
    ]
    features = [
        {
            "type": rng.choice(("Feature", "Feature", "feature", "Point", None)),
            "properties": rng.choice(({"code": rng.choice(NASTY_VALUES), "kind": "micro"}, None, [], 3)),
            "geometry": rng.choice(shapes),
        }
        for _ in range(rng.randrange(1, 4))
    ]
    made = {"type": rng.choice(("FeatureCollection", "featurecollection", "Topology")), "features": features}
    return json.dumps(made).encode()


def _zip_of(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def _sheet(book: bytes, old: bytes, new: bytes) -> bytes:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book)) as archive,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for name in archive.namelist():
            content = archive.read(name)
            out.writestr(name, content.replace(old, new, 1) if name.endswith("sheet1.xml") else content)
    return made.getvalue()


def crafted(seeds: dict[str, bytes]) -> dict[str, bytes]:
    """Files that somebody made on purpose, by name: laughs, promises, disguises."""
    laughs = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">' + b"".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">'.encode() for i in range(9)
    )
    book = seeds["xlsx"]
    return {
        "laughs.xlsx": _sheet(
            _sheet(book, b"<v>0</v>", b"<v>&j;</v>"), b"<worksheet", laughs + b"]><worksheet"
        ),
        "far.xlsx": _sheet(book, b'<c r="A2"', b'<c r="XFD1048576"'),
        "strings.xlsx": _sheet(book, b't="s"><v>0<', b't="s"><v>999999<'),
        "index.xlsx": _sheet(book, b't="s"><v>0<', b't="s"><v>-1<'),
        "deep.geojson": b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"a":'
        + b'{"a":' * 100_000
        + b"1"
        + b"}" * 100_000
        + b'},"geometry":null}]}',
        "brackets.geojson": b"[" * 200_000,
        "nested.kml": b"<kml><Document>" + b"<Folder>" * 20_000,
        "laughs.kml": laughs + b"]><kml><Document><name>&i;</name></Document></kml>",
        "two.zip": _zip_of("a.shp", b"\x00\x00\x27\x0a"),
        "slip.zip": _zip_of("../../a.geojson", seeds["geojson"]),
        "name.zip": _zip_of("村.geojson", seeds["geojson"]),
        "empty.zip": b"PK\x05\x06" + bytes(18),
        "text.gpkg": b"SQLite format 3\x00" + b"x" * 5000,
        "header.fgb": b"fgb\x03fgb\x00" + struct.pack("<I", 0xFFFFFFFF),
        "features.fgb": seeds["fgb"][:12] + struct.pack("<I", 0x7FFFFFFF) + seeds["fgb"][16:],
        "footer.parquet": b"PAR1" + bytes(64) + struct.pack("<I", 0x7FFFFFFF) + b"PAR1",
        "wide.csv": b",".join(b"c%d" % number for number in range(100_000)) + b"\n",
        "utf16.csv": b"\xff\xfe" + b"a\x00\n",
        "nul.csv": b"code,kind\n\x00\x00\x00\n",
        "vrt.json": b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>',
        "esri.json": b'{"displayFieldName":"a","fieldAliases":{},"geometryType":"esriGeometryPolygon","features":7}',
        "topo.json": b'{"type":"Topology","objects":{"a":{"type":"Polygon","arcs":[[99999999]]}},"arcs":[]}',
        "gz.csv.gz": b"\x1f\x8b" + bytes(30),
    }


def bombs(seeds: dict[str, bytes]) -> dict[str, bytes]:
    """Files of a few kilobytes that would keep a machine busy for long, by name."""
    zeros = bytes(80 << 20)
    book = seeds["xlsx"]
    return {
        "bomb.zip": _zip_of("a.geojson", zeros),
        "bomb.xlsx": _zip_of("xl/workbook.xml", zeros),
        "bomb.csv.gz": gzip.compress(zeros),
        "lines.csv.gz": gzip.compress(b"code,kind\n" + b'"' + b"a" * (70 << 20)),
        "row.xlsx": _sheet(book, b'<row r="2"', b'<row r="99999999999999999999"'),
    }


def seed_files(folder: Path) -> dict[str, bytes]:
    """A small good file of every kind, by ending; `shp` is a zip of the parts of a Shapefile."""
    import geopandas as gpd
    import shapely

    frame = gpd.GeoDataFrame(
        {
            "code": ["990126", "990126001001", "99012600100100101", "99012600100100102"],
            "kind": ["county", "village", "micro", "micro"],
            "name": ["云江县", "东村", "东一", "东二"],
            "parent": [None, "990126", "990126001001", "990126001001"],
            "households": [120, 120, 60, 60],
        },
        geometry=[shapely.box(112, 30, east, 30.01) if at < 3 else shapely.box(112.01, 30, 112.02, 30.01)
                  for at, east in enumerate((112.02, 112.02, 112.01, 112.02))],
        crs=4490,
    )  # fmt: skip
    table = frame.drop(columns="geometry").assign(
        x=112.005, y=30.005, source="12345", external_id=frame["code"], category="dispute", title="噪声",
        occurred_at="2026-08-24 13:51",
    )  # fmt: skip
    for ending in ("gpkg", "geojson", "fgb"):
        frame.to_file(folder / f"seed.{ending}")
    frame.to_parquet(folder / "seed.parquet")
    frame.to_file(folder / "part.shp", encoding="GBK")
    with zipfile.ZipFile(folder / "seed.shp.zip", "w") as archive:
        for part in sorted(folder.glob("part.*")):
            archive.write(part, part.name)
    table.to_csv(folder / "seed.csv", index=False)
    table.to_excel(folder / "seed.xlsx", index=False)
    (folder / "seed.csv.gz").write_bytes(gzip.compress((folder / "seed.csv").read_bytes()))
    endings = ("gpkg", "geojson", "fgb", "parquet", "csv", "xlsx", "csv.gz", "shp.zip")
    return {ending: (folder / f"seed.{ending}").read_bytes() for ending in endings}


Maker = Callable[[random.Random], bytes]
