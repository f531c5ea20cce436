"""All checks of schemathesis over the whole description, for every role: what may be sent, what may not, and its edges.

`bench_schema.py [--seed N] [--examples 25] [--roles admin,dispatcher,…]`. The seed is printed.
"""

import argparse
import random
import sys
import time

from gridmap.access import ROLES
from tests.api.describing import described
from tests.api.permitting import OPERATIONS, made
from tests.bench.furnished import county


def main() -> None:
    """Runs, prints, and fails on findings."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked.add_argument("--examples", type=int, default=25, help="made up for each operation and role")
    asked.add_argument("--roles", default=",".join(ROLES))
    given = asked.parse_args()
    print(f"seed {given.seed}")
    failed = False
    with county() as app:
        made(app)
        # Last the one who may close the others' accounts; as the last administrator of all areas nobody closes it.
        for role in sorted(given.roles.split(","), key="admin".__eq__):
            began = time.perf_counter()
            run = described(
                app, "admin" if role == "admin" else f"as_{role}", seed=given.seed, examples=given.examples
            )
            answers = ", ".join(f"{status}: {number}" for status, number in sorted(run.answers.items()))
            seconds = time.perf_counter() - began
            print(f"{role:<10} {run.requests:>6} requests in {seconds:.0f} s · {answers}", flush=True)
            for (operation, check), message in sorted(run.findings.items()):
                print(f"FINDING {operation} {check}\n        {message[:800]}", flush=True)
            failed = failed or bool(run.findings) or not run.operations >= set(OPERATIONS)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
