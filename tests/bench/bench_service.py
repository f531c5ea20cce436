"""Start, intake, batches, owner of a place and memory, each beside its peer in the same run.

python tests/bench/bench_service.py            # the demonstration town
python tests/bench/bench_service.py --full     # the full county as well: memory
"""

import datetime as dt
import http.client
import io
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid

import psycopg
import served as service
from served import Served, flood, request

from gridmap.embedded import Cluster

POSTS = 8_000
BATCH = 20_000
READS = 8_000
BOX = (111.98, 29.98, 112.02, 30.02)  # the middle of the town

PGBENCH = """
\\set grid random(1, 100000000)
\\set lon random(0, 40000)
\\set lat random(0, 40000)
BEGIN;
SELECT pg_advisory_xact_lock_shared(26482, 2);
SELECT nextval('event_id') AS id \\gset
INSERT INTO event_key VALUES ('pgbench', :client_id || '-' || :id, :id, decode(repeat('ab', 32), 'hex'));
INSERT INTO event (id, source, external_id, category, occurred_at, geom, x, y, crs, method, distance_m, edition,
    owner_then, owner_now, leaf_then, leaf_now, paths_then, paths_now, cell, status, worker, why,
    accept_due_at, resolve_due_at)
    SELECT :id, 'pgbench', :client_id || '-' || :id, 'dispute', now(),
    ST_SetSRID(ST_MakePoint(111.98 + :lon / 1e6, 29.98 + :lat / 1e6), 4326), 111.98, 29.98, 'wgs84', 'inside', 0, 1,
    owner_then, owner_now, leaf_then, leaf_now, paths_then, paths_now, cell, 'assigned', worker, why, now(), now()
    FROM event WHERE id = 1 + (:grid % 50000);
INSERT INTO event_text (event, title) VALUES (:id, 'x');
INSERT INTO event_history (event, actor, action, status, edition, digest, detail) VALUES
    (:id, 'admin', 'report', 'assigned', 1, decode(repeat('ab', 32), 'hex'), '{"source": "pgbench"}'),
    (:id, 'system', 'assign', 'assigned', 1, NULL, '{"worker": 1, "unit": null, "grid": "99012600100100101"}');
INSERT INTO change_log (topic, event, edition, paths) SELECT 'event', :id, 1, paths_now FROM event WHERE id = :id;
COMMIT;
"""


def event(rng: random.Random, source: str = "bench") -> dict[str, object]:
    return {
        "source": source,
        "external_id": str(uuid.UUID(int=rng.getrandbits(128))),
        "category": rng.choice(["dispute", "police_case", "appeal", "hazard"]),
        "occurred_at": dt.datetime.now(dt.UTC).isoformat(),
        "lon": rng.uniform(BOX[0], BOX[2]),
        "lat": rng.uniform(BOX[1], BOX[3]),
        "title": "x",
    }


def posts(served: Served, token: str) -> None:
    rng = random.Random(time.time_ns())
    flood(served.port, [request("POST", "/api/events", token, event(rng)) for _ in range(800)])
    bodies = [request("POST", "/api/events", token, event(rng)) for _ in range(POSTS)]
    rate, spent = flood(served.port, bodies)
    cluster = Cluster(served.home)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(PGBENCH)
        script.flush()
        done = subprocess.run(
            [cluster.program("pgbench"), "-n", "-M", "prepared", "-c", "16", "-j", "2", "-T", "10", "-f", script.name,
             cluster.status().url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    peer = float(line.split()[2])
    limit = min(peer / 3, 1000)
    print(f"POST /api/events, 16 in flight: {rate:,.0f}/s (median {spent[len(spent) // 2] * 1e3:.1f} ms,"
          f" 99 % {spent[int(len(spent) * 0.99)] * 1e3:.1f} ms); pgbench with the same rows: {peer:,.0f}/s;"
          f" ratio {rate / peer:.2f}; limit min(1/3, 1000/s) = {limit:,.0f}/s: {verdict(rate >= limit)}")  # fmt: skip


def verdict(good: bool) -> str:
    return "met" if good else "NOT met"


COPIED = {
    "event_key": "source, external_id || 'c', event + 1000000000, digest",
    "event": "*",
    "event_text": "event + 1000000000, title, description, address, contact",
    "event_history": "event + 1000000000, at, actor, action, status, edition, digest, detail",
    "change_log": "topic, event + 1000000000, edition, paths",
}
COLUMNS = {
    "event_key": "source, external_id, event, digest",
    "event_text": "event, title, description, address, contact",
    "event_history": "event, at, actor, action, status, edition, digest, detail",
    "change_log": "topic, event, edition, paths",
}


def batch(served: Served, token: str) -> None:
    rng = random.Random(time.time_ns())
    lines = "\n".join(json.dumps(event(rng, "batch")) for _ in range(BATCH)).encode()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=600)
    began = time.perf_counter()
    connection.request("POST", "/api/events/batch", lines, {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    rate = BATCH / (time.perf_counter() - began)
    if answer.status != 200 or body["accepted"] != BATCH:
        raise SystemExit(f"batch: {answer.status} {str(body)[:300]}")
    peer = copied(served)
    print(f"POST /api/events/batch: {rate:,.0f} rows/s; plain COPY into the same tables: {peer:,.0f} rows/s;"
          f" ratio {rate / peer:.2f}, limit 1/3: {verdict(rate >= peer / 3)}")  # fmt: skip


def copied(served: Served) -> float:
    """Rows a second of COPY of the same rows, under other numbers, into the same five tables."""
    url = Cluster(served.home).status().url
    with psycopg.connect(url) as connection:
        names = [row[0] for row in connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'event' ORDER BY ordinal_position"
        )]  # fmt: skip
        columns = {**COLUMNS, "event": ", ".join(names)}
        chosen = {**COPIED, "event": ", ".join(
            {"id": "id + 1000000000", "external_id": "external_id || 'c'"}.get(name, name) for name in names
        )}  # fmt: skip
        blocks = {}
        for table, what in chosen.items():
            where = "id" if table == "event" else "event"
            sink = io.BytesIO()
            with connection.cursor().copy(
                f"COPY (SELECT {what} FROM {table} WHERE {where} IN"
                " (SELECT event FROM event_key WHERE source = 'batch')) TO STDOUT"
            ) as copy:
                for block in copy:
                    sink.write(block)
            blocks[table] = sink.getvalue()
        connection.commit()
        began = time.perf_counter()
        for table, block in blocks.items():
            with connection.cursor().copy(f"COPY {table} ({columns[table]}) FROM STDIN") as copy:
                copy.write(block)
        connection.commit()
        return BATCH / (time.perf_counter() - began)


def locate(served: Served, token: str) -> None:
    rng = random.Random(7)
    empty = [request("GET", "/api/me", token)] * READS
    places = [
        request(
            "GET", f"/api/locate?lon={rng.uniform(BOX[0], BOX[2])}&lat={rng.uniform(BOX[1], BOX[3])}", token
        )
        for _ in range(READS)
    ]
    flood(served.port, empty[:400])
    peer, _ = flood(served.port, empty)
    rate, _ = flood(served.port, places)
    print(f"GET /api/locate: {rate:,.0f}/s; GET /api/me (signed in, no database): {peer:,.0f}/s;"
          f" ratio {rate / peer:.2f}, limit 0.70: {verdict(rate >= 0.7 * peer)}")  # fmt: skip


def second_start(served: Served) -> Served:
    service.stop(served, database=True)
    again = service.start(served.home, "--demo")
    good = verdict(again.ready_s < 5)
    print(f"second start, database included, to /readyz: {again.ready_s:.1f} s, limit 5 s: {good}")
    return again


def main() -> None:
    with service.demonstration() as served:
        print(f"first start with the demonstration town: {served.ready_s:.1f} s")
        token = served.token("admin")
        posts(served, token)
        batch(served, token)
        locate(served, token)
        again = second_start(served)
        served.process = again.process
    if "--full" in sys.argv:
        with service.demonstration("full") as served:
            print(f"first start with the full county: {served.ready_s:.0f} s")
            token = served.token("commander")
            for path in ("/api/heat?geometry=false", "/api/heat?by=hex", "/api/areas?kind=micro&limit=20000"):
                seconds, body = served.get(path, token)
                print(f"  {path}: {seconds * 1e3:.0f} ms, {len(body) / 1e6:.1f} MB")
            served.get("/api/locate?lon=112&lat=30", token)
            resident = served.resident_mb()
            good = verdict(resident < 500)
            print(f"resident memory with the full county: {resident:.0f} MB, limit 500 MB: {good}")


if __name__ == "__main__":
    main()
