"""Going back to a moment, by the very commands that docs/operations.md gives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from gridmap.cluster.programs import find_programs
from gridmap.embedded import Cluster
from tests.bench import killing

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture(scope="module")
def commands():
    section = (
        DOCS.read_text(encoding="utf-8").partition("### Going back to a moment")[2].partition("\n## ")[0]
    )
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 3, "archiving, base backup, recovery"
    return blocks


def accounts(url):
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM account").fetchall()}


def add(url, name):
    """Stores something, and says when that was certainly done."""
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO account (name, display_name) VALUES (%s, %s)", [name, name])
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT clock_timestamp()::text").fetchone()[0]


def test_recovery_to_a_moment_holds_what_was_before_it_and_nothing_after(commands):
    with killing.furnished() as home:
        cluster = Cluster(home)
        url = cluster.start()
        data = cluster.status().data_dir
        archive, base = (home.parent / name for name in ("archive", "base"))
        for folder in (archive, base):
            folder.mkdir()
            os.chown(folder, data.stat().st_uid, data.stat().st_gid)
            folder.chmod(0o700)
        env = {
            **os.environ,
            "PATH": f"{find_programs().folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GRIDMAP_HOME": str(home), "DATA": str(data), "ARCHIVE": str(archive), "BASE": str(base),
        }  # fmt: skip
        env.pop("GRIDMAP_DATABASE_URL", None)

        def run(block, **more):
            done = subprocess.run(
                ["bash", "-euc", block],
                env={**env, **more},
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
            )
            assert done.returncode == 0, done.stdout + done.stderr

        archiving, base_backup, recovery = commands
        run(archiving)
        add(url, "before")
        run(base_backup)
        moment = add(url, "after-the-base")
        add(url, "after-the-moment")
        run(recovery, MOMENT=moment)
        assert cluster.status().running
        assert {"before", "after-the-base"} <= accounts(url)
        assert "after-the-moment" not in accounts(url)
        add(url, "goes-on")
        cluster.stop()
        assert "goes-on" in accounts(cluster.start())
        assert data.with_name("data.before").is_dir()
