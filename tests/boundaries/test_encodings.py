"""Which encoding a text is in: strict UTF-8 first, GB18030 only where it reads like Chinese."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundaries.encodings import check_text, detect, known
from gridmap.errors import InvalidInput

VILLAGE = "编码,名称\n1,北新西街居委会\n2,永安里社区居委会\n"
# the 3,755 common characters of GB 2312's first level: what real text is made of
COMMON = [bytes([high, low]).decode("gb2312") for high in range(0xB0, 0xD7) for low in range(0xA1, 0xFF)]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"code,name\n1,a\n", "utf-8"),
        (VILLAGE.encode(), "utf-8"),
        (VILLAGE.encode("utf-8-sig"), "utf-8-sig"),
        (VILLAGE.encode("gbk"), "gb18030"),
        (VILLAGE.encode("utf-16"), "utf-16"),
    ],
)
def test_what_files_are_written_in(data, encoding):
    assert detect(io.BytesIO(data), "f.csv") == encoding


@given(st.lists(st.sampled_from(COMMON), min_size=4, max_size=24, unique=True).map("".join))
def test_chinese_text_is_recognised_in_both_encodings(text):
    assert detect(io.BytesIO(f"名称\n{text}\n".encode()), "f.csv") == "utf-8"
    assert detect(io.BytesIO(f"名称\n{text}\n".encode("gbk")), "f.csv") == "gb18030"


def test_half_a_character_is_not_taken_for_gbk():
    # E4 B8 is 涓 in GBK: it decodes, and is wrong
    with pytest.raises(InvalidInput, match=r"f\.csv, line 2"):
        detect(io.BytesIO(b"code,name\n1,\xe4\xb8\n"), "f.csv")


def test_cyrillic_with_a_broken_character_is_not_taken_for_gbk():
    data = ("имя\n" + "площадь победы\n" * 20).encode() + b"\xd0\n"
    with pytest.raises(InvalidInput, match="line 22"):
        detect(io.BytesIO(data), "f.csv")


def test_a_broken_character_in_utf8_text_leaves_it_utf8():
    data = VILLAGE.encode() + b"3,\xe4\xb8\n"
    assert detect(io.BytesIO(data), "f.csv") == "utf-8"


def test_latin1_is_refused_with_the_line_and_a_remedy():
    with pytest.raises(InvalidInput, match=r"line 3.*--encoding"):
        detect(io.BytesIO("code\n1\nSão Paulo\nBrasília\n".encode("latin-1")), "f.csv")


def test_names_of_encodings():
    assert known("GBK") == known("gb2312") == known("GB18030") == "gb18030"
    with pytest.raises(InvalidInput, match="no known encoding"):
        known("klingon")


def test_text_that_must_be_utf8_names_the_line(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_bytes('{"a":\n"村",\n"b": "'.encode() + b'\xe4\xb8"}')
    with pytest.raises(InvalidInput, match="line 3"):
        check_text(path)
    path.write_bytes("村\n".encode() + "村".encode()[:2])
    with pytest.raises(InvalidInput, match="line 2"):
        check_text(path)
