"""The tests' small county served in this process, on a database that goes with it."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gridmap import db
from gridmap.embedded import Cluster
from gridmap.settings import Settings
from tests.api.conftest import App, furnish, serve


@contextlib.contextmanager
def county() -> Iterator[App]:
    """An application as `module_app` of the tests."""
    with Cluster.temporary(durable=False) as cluster, tempfile.TemporaryDirectory() as home:
        url = cluster.status().url
        assert url is not None
        db.upgrade(url)
        settings = unhurried(Settings(home=Path(home), secret_key="a secret for tests only"))
        furnish(url, settings)
        with contextlib.contextmanager(serve)(url, settings) as app:
            yield app


def unhurried(settings: Settings) -> Settings:
    """Without a limit of requests a second: whoever tries everything asks more often than anybody may."""
    return replace(settings, requests_per_second=1e6, address_requests_per_second=1e6)
