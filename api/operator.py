"""What commands share: settings, and the database brought up and migrated when first asked for."""

import getpass
import os
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from gridmap import db
from gridmap.db import Database
from gridmap.embedded import Cluster
from gridmap.settings import Settings


class Tool:
    """The installation that a command works on. Making the object does nothing."""

    @cached_property
    def settings(self) -> Settings:
        """From the environment."""
        return Settings.from_environment()

    @cached_property
    def _database(self) -> Database:
        return Database(self.url(), pool_size=2)

    def url(self) -> str:
        """URL of the running, migrated database; the private one is made and started when needed.

        Raises:
            NotPossible: what the machine or the server lacks.
        """
        url = self.settings.database_url or Cluster(self.settings.home).start()
        db.upgrade(url)
        return url

    def database(self) -> Database:
        """The installation's database."""
        return self._database

    @property
    def user(self) -> str:
        """Who runs the command, as the system knows them."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a number without a name, as in a container
            return str(os.getuid())

    def stop(self) -> str:
        """Stops the private database; says what was done."""
        if self.settings.database_url:
            return "GRIDMAP_DATABASE_URL names a server that is not ours to stop."
        Cluster(self.settings.home).stop()
        return "The database is stopped."

    def status(self) -> dict[str, Any]:
        """Whether it runs, and where; changes nothing."""
        if self.settings.database_url:
            return _server_status(self.settings.database_url)
        found = Cluster(self.settings.home).status()
        return {
            "running": found.running,
            "url": found.url,
            "data_dir": str(found.data_dir) if found.data_dir else None,
            "postmaster_pid": found.postmaster_pid,
            "version": found.version,
        }

    def close(self) -> None:
        """Closes connections, if there are any."""
        if "_database" in self.__dict__:
            self._database.close()


def _server_status(url: str) -> dict[str, Any]:
    engine = sa.create_engine(db.sqlalchemy_url(url), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            version = str(connection.execute(sa.text("SHOW server_version")).scalar_one())
    except sa.exc.OperationalError:
        return {"running": False, "url": url, "data_dir": None, "postmaster_pid": None, "version": None}
    finally:
        engine.dispose()
    return {"running": True, "url": url, "data_dir": None, "postmaster_pid": None, "version": version}
