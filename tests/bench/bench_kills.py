"""A hundred kills of each kind while several clients post; afterwards acknowledged against stored.

python tests/bench/bench_kills.py [--kills 100] [--seed N]
"""

import argparse
import random
import statistics
import sys

from tests.bench import killing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args()
    kinds = list(killing.KINDS) * asked.kills
    random.Random(asked.seed).shuffle(kinds)
    with killing.furnished() as home:
        run = killing.run(home, kinds, seed=asked.seed, quick=True)
    print(f"seed {asked.seed}, {run.seconds:.0f} s, {run.starts} starts of the service")
    for kind, gaps in run.gaps_s.items():
        print(f"{kind:<10} {run.kills[kind]:>4} kills; posts taken again after {statistics.median(gaps):.2f} s,"
              f" {max(gaps):.2f} s at most")  # fmt: skip
    answers = run.told.answers
    others = sum(count for status, count in answers.items() if status not in {0, 200, 201, 503})
    print(f"answers: {answers[201]} stored, {answers[200]} known or batches, {answers[503]} come again,"
          f" {answers[0]} lost connections, {others} others")  # fmt: skip
    balance = run.balance
    print(f"acknowledged {balance.acknowledged}, stored {balance.stored}: lost {len(balance.lost)} (limit 0),"
          f" twice {len(balance.twice)} (limit 0), incomplete {len(balance.incomplete)} (limit 0),"
          f" stored unasked {len(balance.unasked)} (limit 0)")  # fmt: skip
    wrong = [*run.told.wrong, *balance.lost, *balance.twice, *balance.incomplete, *balance.unasked]
    if wrong:
        sys.exit(f"FAILED: {wrong[:10]}")


if __name__ == "__main__":
    main()
