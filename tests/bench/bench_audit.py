"""The chain over audit and history: what sealing and verifying a million rows costs, and whether writers notice it.

`bench_audit.py [--rows 1000000] [--writes 3000]`. The private cluster is durable, as in service.
"""

import argparse
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from gridmap import db
from gridmap.audit_chain import seal
from gridmap.audit_scribe import Scribe
from gridmap.audit_verify import verify
from gridmap.db import Database
from gridmap.embedded import Cluster

SEAL_S, VERIFY_S = 90.0, 90.0  # a million rows
SLOWER = 1.15  # of the median write, with a sealer that never rests beside it
FILL = """
INSERT INTO event_history (event, actor, action, status, edition, digest, detail)
SELECT i / 2, 'hotline', CASE i % 2 WHEN 0 THEN 'report' ELSE 'assign' END, 'assigned', 1, sha256(i::text::bytea),
    '{"source": "12345", "worker": 17, "grid": "99012600100100101", "why": [["ok", "inside", {}]]}'
FROM generate_series(1, :rows) AS i
"""
WRITE = """
INSERT INTO event_history (event, actor, action, status, edition, detail)
VALUES (1, 'hotline', 'report', 'assigned', 1, '{"source": "12345"}'), (1, 'system', 'assign', 'assigned', 1, '{}')
"""


def writes(database: Database, count: int) -> list[float]:
    """Milliseconds of single transactions from four writers."""

    def one(_: int) -> float:
        began = time.perf_counter()
        with database.flight() as connection:
            connection.execute(WRITE)
            connection.commit()
        return 1000 * (time.perf_counter() - began)

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(count)))


def seal_all(database: Database) -> tuple[int, int]:
    rows = blocks = 0
    while True:
        with database.writer() as session:
            sealed = seal(session)
        if not sealed:
            return rows, blocks
        rows, blocks = rows + sealed, blocks + 1


def noticed(database: Database, count: int) -> tuple[float, float]:
    """Median write without and with sealing beside it, in turns."""
    medians: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(6):
        sealing = bool(turn % 2)
        scribe = Scribe(database, seal_every_s=0.2)
        if sealing:
            scribe.start()
        medians[sealing].append(statistics.median(writes(database, count // 3)))
        scribe.stop()
        seal_all(database)
    return statistics.median(medians[False]), statistics.median(medians[True])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--writes", type=int, default=3_000)
    asked = parser.parse_args()
    with Cluster.temporary() as cluster:
        url = str(cluster.status().url)
        db.upgrade(url)
        database = Database(url, pool_size=8)
        with database.writer() as session:
            session.execute(sa.text(FILL), {"rows": asked.rows})
        began = time.perf_counter()
        rows, blocks = seal_all(database)
        sealing = time.perf_counter() - began
        began = time.perf_counter()
        with database.reader() as session:
            verdict = verify(session)
            size = session.execute(sa.text("SELECT pg_total_relation_size('audit_block')")).scalar_one()
        verifying = time.perf_counter() - began
        alone, beside = noticed(database, asked.writes)
        database.close()
    assert verdict.flaw is None
    assert threading.active_count() == 1
    limit = asked.rows / 1_000_000
    print(f"sealed {rows} rows into {blocks} blocks: {sealing:.1f} s (at most {SEAL_S * limit:.0f})")
    print(f"verified {verdict.rows} rows: {verifying:.1f} s (at most {VERIFY_S * limit:.0f})")
    print(f"size of the blocks: {size / 2**20:.1f} MB")
    print(
        f"median write {alone:.2f} ms, beside a sealer {beside:.2f} ms (at most {SLOWER:.2f} times as long)"
    )
    return int(sealing > SEAL_S * limit or verifying > VERIFY_S * limit or beside > SLOWER * alone)


if __name__ == "__main__":
    sys.exit(main())
