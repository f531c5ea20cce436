"""Settings: all from the environment, all documented in docs/operations.md, all with a safe default."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridmap import planning_settings, provider_settings
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
        attachment_bytes: largest file attached to an event.
        attachments_per_event: so many of them at most.
        pool_size: database connections a process keeps.
        statement_timeout_s: longest statement of a request, in seconds.
        requests_per_second: posts of one account, in one process; most other requests weigh more.
        address_requests_per_second: of one address without valid credentials, in one process.
        heavy_at_once: heat, indicators and the like that one account has running in a process.
        proxies: addresses and networks whose X-Forwarded-For and -Proto are believed.
        log_format: `text` for people, without accesses; `json` for programs, with a line for each request.
        code_scheme: how the codes of areas are built, as `gridmap.codes.Scheme.from_text` takes it; None: the usual.
        code_order: how new areas are numbered, `west_east` or `rows`.
        household_ranges: households that a grid should have, by kind.
        notice_days: how long an approved plan is shown before it may be published.
        public_url: origin under which browsers reach the service, such as `https://gridmap.example`.
        oidc_issuer: an external provider by which people may sign in (OpenID Connect); None: passwords only.
        oidc_client_id, oidc_client_secret: as which the provider knows this service; no secret: a public client.
        oidc_name: how the sign-in page calls the provider.
        oidc_claim: what of the provider's word is compared with a name that an administrator awaits.
        oidc_ca_file: the only authority believed for the provider's certificate; None: those of the system.
        oidc_scopes: what is asked of the provider.
    """

    home: Path
    database_url: str | None = field(default=None, repr=False)  # with its password
    secret_key: str | None = field(default=None, repr=False)
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    basemap_url: str | None = None
    withhold_below: int = 3
    tolerance_m: float = 50.0
    title: str = "网格化服务管理"
    max_body_bytes: int = 64 * 1024 * 1024
    attachment_bytes: int = 10 * 1024 * 1024
    attachments_per_event: int = 20
    pool_size: int = 12
    statement_timeout_s: float = 60.0
    requests_per_second: float = 3000.0
    address_requests_per_second: float = 400.0
    heavy_at_once: int = 4
    proxies: tuple[str, ...] = ("127.0.0.1",)
    log_format: str = "text"
    code_scheme: str | None = None
    code_order: Literal["west_east", "rows"] = "west_east"
    household_ranges: str = planning_settings.HOUSEHOLDS
    notice_days: int = 0
    public_url: str | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = field(default=None, repr=False)
    oidc_name: str | None = None
    oidc_claim: str = provider_settings.CLAIM
    oidc_ca_file: str | None = None
    oidc_scopes: str = provider_settings.SCOPES

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
            attachment_bytes=int(number("GRIDMAP_ATTACHMENT_BYTES", 10 * 1024 * 1024, 1024)),
            attachments_per_event=int(number("GRIDMAP_ATTACHMENTS_PER_EVENT", 20, 0)),
            pool_size=int(number("GRIDMAP_POOL_SIZE", 12, 1)),
            statement_timeout_s=number("GRIDMAP_STATEMENT_TIMEOUT_S", 60, 1),
            requests_per_second=number("GRIDMAP_REQUESTS_PER_SECOND", 3000, 1),
            address_requests_per_second=number("GRIDMAP_ADDRESS_REQUESTS_PER_SECOND", 400, 1),
            heavy_at_once=int(number("GRIDMAP_HEAVY_AT_ONCE", 4, 1)),
            proxies=_proxies(env.get("GRIDMAP_PROXIES") or "127.0.0.1"),
            log_format=log_format,
            **planning_settings.read(env),
            **provider_settings.read(env),
        )


def _proxies(text: str) -> tuple[str, ...]:
    """Addresses and networks from a comma-separated list; `none` is nobody."""
    if text.strip() == "none":
        return ()
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        for part in parts:
            ipaddress.ip_network(part)
    except ValueError as error:
        raise InvalidInput(
            f"GRIDMAP_PROXIES={text!r}: addresses or networks separated by commas, such as 127.0.0.1,172.18.0.0/16,"
            " or none",
            code="bad_setting",
        ) from error
    return parts
