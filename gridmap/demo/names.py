"""Names from invented syllables: no town, village, street or person of this county is real."""

import numpy as np

from gridmap.demo.city import Objects

PROVINCE, CITY, COUNTY = "云泽省", "澜州市", "云江县"
RIVER, SIDE_ARM = "云江", "砚水"

_FIRST = "栖鹭澜苇枫云砚桐松青石竹麦镜沁藕荻望鹤北南金柏梧蒲芷萤雁溪霁岚汀月杏棠桑榆樟荷菱芦莲墨碧清晴暮晓远静素兰桂"
_SECOND = "禾桐汀岚砚栖池锦影萤溪笏墅陇浦洲里荷栀穗泉坪湾岭渡桥塘墩舍原畈冈庄园坞渚泽涧堰苑台亭屏"
_ESTATES = ("苑", "花园", "家园", "新村", "名庭", "小区", "华庭", "公馆")
_SURNAMES = (
    "沈贺陆周秦程顾许苏叶宋韩唐冯于董萧曹彭吕丁任范方石姚谭廖邹熊金郝孔白崔康毛邱秦江"
    "史侯邵孟龙万段雷钱汤尹黎易常武乔赖龚文"
)
_GIVEN = "砚秋兰舟闻笛岚若川予安清和知远景行书言亦辰沐阳雨桐子墨思齐嘉树云深临溪怀瑾望舒南乔晚晴星野时雨明澈初夏青禾"


def places(count: int, rng: np.random.Generator, taken: set[str]) -> list[str]:
    """Two-syllable names, each once in the county; `taken` grows."""
    names: list[str] = []
    firsts, seconds = list(_FIRST), list(_SECOND)
    while len(names) < count:
        name = firsts[rng.integers(len(firsts))] + seconds[rng.integers(len(seconds))]
        if name[0] == name[1] or name in taken or name in {COUNTY[:2], CITY[:2], PROVINCE[:2], SIDE_ARM}:
            # every other draw fails once the pairs run low: then a third syllable keeps the names apart
            name += seconds[rng.integers(len(seconds))]
            if len(taken) < 900 or name in taken:
                continue
        taken.add(name)
        names.append(name)
    return names


def estates(count: int, rng: np.random.Generator) -> Objects:
    """Names of housing estates; they may repeat from one village to another, as they do."""
    first = np.array(list(_FIRST), dtype=object)[rng.integers(0, len(_FIRST), count)]
    second = np.array(list(_SECOND), dtype=object)[rng.integers(0, len(_SECOND), count)]
    kind = np.array(_ESTATES, dtype=object)[rng.integers(0, len(_ESTATES), count)]
    names: Objects = first + second + kind
    return names


def people(count: int, rng: np.random.Generator) -> Objects:
    """Names of workers: a surname and two syllables."""
    surname = np.array(list(_SURNAMES), dtype=object)[rng.integers(0, len(_SURNAMES), count)]
    one = np.array(list(_GIVEN), dtype=object)[rng.integers(0, len(_GIVEN), count)]
    two = np.array(list(_GIVEN), dtype=object)[rng.integers(0, len(_GIVEN), count)]
    names: Objects = surname + one + two
    return names


def numeral(number: int) -> str:
    """A number up to 99 as one says it: 12 → 十二."""
    digits = "〇一二三四五六七八九"
    tens, ones = divmod(number, 10)
    if not tens:
        return digits[ones]
    return ("" if tens == 1 else digits[tens]) + "十" + (digits[ones] if ones else "")
