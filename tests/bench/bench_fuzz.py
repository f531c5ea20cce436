"""Malformed input at every parser of what comes from outside: nothing crashes, hangs, or is stored by half.

`bench_fuzz.py [--seed N] [--quick]`. Files are read in processes of their own, each with a time limit. Printed is
what was read (what was spoilt did not matter), refused in words, and what should not have happened, with the seed.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from gridmap.backup import backup
from gridmap.backup_programs import Server, any_program
from tests.api.malforming import Malforming
from tests.api.permitting import made
from tests.bench import fuzzing
from tests.bench.furnished import county
from tests.bench.fuzzing import Tally

LEAST = 20_000


def main() -> None:
    """Runs, prints, and fails on findings."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked.add_argument("--quick", action="store_true", help="a twentieth of it")
    given = asked.parse_args()
    part = 20 if given.quick else 1
    rng, tally, began = random.Random(given.seed), Tally(), time.perf_counter()
    print(f"seed {given.seed}")
    fuzzing.texts(rng, 600 // part, tally)
    print(f"{tally.inputs} texts", flush=True)
    fuzzing.files(rng, 300 // part, tally)
    print(f"{tally.inputs} with files, {len(tally.findings)} findings so far", flush=True)
    fuzzing.attachments(rng, 500 // part, tally)
    print(f"{tally.inputs} with attachments, {len(tally.findings)} findings so far", flush=True)
    with county() as app, tempfile.TemporaryDirectory() as name:
        made(app)
        good = Path(name) / "good.gmb"
        backup(
            Server(app.url, any_program),
            good,
            version="bench",
            secret="a key",
            with_key=True,
            progress=lambda _: None,
        )
        fuzzing.backups(rng, 400 // part, tally, good.read_bytes())
        fuzzing.loads(rng, 60 // part, tally, (app.url, name))
        print(f"{tally.inputs} with backups and loads, {len(tally.findings)} findings so far", flush=True)
        requests = Malforming(app, rng, tally)
        requests.queries(3_000 // part)
        requests.bodies(1_500 // part)
        requests.batches(1_000 // part)
        requests.tokens(1_000 // part)
        requests.attachments(400 // part)
    print(*tally.lines(), sep="\n")
    print(f"{tally.inputs} inputs, {len(tally.findings)} findings, {time.perf_counter() - began:.0f} s")
    if tally.findings or (tally.inputs < LEAST and not given.quick):
        sys.exit(1)


if __name__ == "__main__":
    main()
