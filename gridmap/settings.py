"""Settings: all from the environment, all documented in docs/operations.md, all with a safe default."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridmap.errors import InvalidInput

LOG_FORMATS = ("text", "json")


@dataclass(frozen=True)
class Settings:
    """How this installation runs.

    Attributes:
        home: folder for the secret key and, where possible, the private database.
        database_url: a PostgreSQL server; None means the private cluster under `home`.
        secret_key: signs tokens and seals contacts; None means the key generated into `home`.
        time_zone: whose midnights begin a day.
        basemap_url: raster tile template `{z}/{x}/{y}`; None means that nothing is loaded from elsewhere.
        withhold_below: counts from 1 to this minus one are withheld from those not entitled.
        tolerance_m: how far from a grid a place in a gap may lie and still be its, in metres.
        title: name of the place on the pages.
        max_body_bytes: largest request body.
        pool_size: database connections a process keeps.
        log_format: `text` for people, without accesses; `json` for programs, with a line for each request.
    """

    home: Path
    database_url: str | None = None
    secret_key: str | None = None
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    basemap_url: str | None = None
    withhold_below: int = 3
    tolerance_m: float = 50.0
    title: str = "网格化服务管理"
    max_body_bytes: int = 64 * 1024 * 1024
    pool_size: int = 12
    log_format: str = "text"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Reads `GRIDMAP_*`.

        Raises:
            InvalidInput: a value cannot be read; the message names the variable.
        """
        env = os.environ if environment is None else environment

        def number(name: str, default: float, least: float) -> float:
            text = env.get(name, "")
            try:
                value = float(text) if text else float(default)
            except ValueError:
                value = float("nan")
            if not least <= value < float("inf"):
                raise InvalidInput(
                    f"{name}={text!r}: a number of at least {least:g} is needed", code="bad_setting"
                )
            return value

        zone = env.get("GRIDMAP_TIME_ZONE") or "Asia/Shanghai"
        try:
            time_zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInput(
                f"GRIDMAP_TIME_ZONE={zone!r} is no time zone; for example Asia/Shanghai", code="bad_setting"
            ) from error
        log_format = env.get("GRIDMAP_LOG_FORMAT") or "text"
        if log_format not in LOG_FORMATS:
            raise InvalidInput(
                f"GRIDMAP_LOG_FORMAT={log_format!r}: {' or '.join(LOG_FORMATS)}", code="bad_setting"
            )
        return cls(
            home=Path(env.get("GRIDMAP_HOME") or ".gridmap").absolute(),
            database_url=env.get("GRIDMAP_DATABASE_URL") or None,
            secret_key=env.get("GRIDMAP_SECRET_KEY") or None,
            time_zone=time_zone,
            basemap_url=env.get("GRIDMAP_BASEMAP_URL") or None,
            withhold_below=int(number("GRIDMAP_WITHHOLD_BELOW", 3, 0)),
            tolerance_m=number("GRIDMAP_TOLERANCE_M", 50, 0),
            title=env.get("GRIDMAP_TITLE") or "网格化服务管理",
            max_body_bytes=int(number("GRIDMAP_MAX_BODY_BYTES", 64 * 1024 * 1024, 1024)),
            pool_size=int(number("GRIDMAP_POOL_SIZE", 12, 1)),
            log_format=log_format,
        )
