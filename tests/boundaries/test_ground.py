"""The ground under plans: the installation's scheme and ranges."""

from boundaries.ground import ranges_of, scheme_of
from gridmap.codes import DEFAULT
from gridmap.planning_settings import HOUSEHOLDS


def test_scheme_and_ranges_of_the_settings():
    assert scheme_of(None, "west_east") is DEFAULT
    rows = scheme_of(None, "rows")
    assert (rows.order, rows.levels) == ("rows", DEFAULT.levels)
    own = scheme_of("county:6,town:3,grid:2", "west_east")
    assert [level.kind for level in own.levels] == ["county", "town", "grid"]
    assert ranges_of(HOUSEHOLDS) == {"micro": (50, 100), "comprehensive": (300, 500)}
