"""How far every event has come by now: accepted, resolved, verified, closed, or still open, some too late."""

from dataclasses import dataclass

import numpy as np

from gridmap.demo.city import Flags, Floats, Ints
from gridmap.demo.wording import URGENCIES
from gridmap.events import ACCEPT_WITHIN_H, RESOLVE_WITHIN_H, STATES

ACCEPTED_IN_TIME, CLOSED_IN_TIME = 0.962, 0.905
POSITION = {state: number for number, state in enumerate(STATES)}


@dataclass(frozen=True)
class Courses:
    """Times in seconds of the Unix epoch, NaN = not yet; status as a position in STATES."""

    status: Ints
    revision: Ints
    accept_due_at: Floats
    resolve_due_at: Floats
    accepted_at: Floats
    resolved_at: Floats
    verified_at: Floats
    closed_at: Floats


def run(urgency: Ints, reported_at: Floats, nobody: Flags, now: float, rng: np.random.Generator) -> Courses:
    """Draws the course of every event.

    Args:
        urgency: positions in URGENCIES.
        reported_at: seconds.
        nobody: bool, true where nobody has it yet.
        now: seconds; nothing lies after it.
        rng: where chance comes from.
    """
    count = len(urgency)
    accept_within = 3600 * np.array([ACCEPT_WITHIN_H[name] for name in URGENCIES])[urgency]
    close_within = 3600 * np.array([RESOLVE_WITHIN_H[name] for name in URGENCIES])[urgency]
    in_time = rng.random(count) < ACCEPTED_IN_TIME
    accepted = reported_at + accept_within * np.where(
        in_time, 0.02 + 0.93 * rng.beta(1.2, 3.5, count), rng.uniform(1.05, 2.2, count)
    )
    in_time = rng.random(count) < CLOSED_IN_TIME
    course = np.where(in_time, 0.06 + 0.92 * rng.beta(1.5, 2.6, count), 1.03 + rng.exponential(0.5, count))
    closed = np.maximum(reported_at + close_within * course, accepted + 1_800)
    resolved = accepted + (closed - accepted) * rng.uniform(0.55, 0.85, count)
    verified = resolved + (closed - resolved) * rng.uniform(0.2, 0.9, count)
    # some of the last weeks' drag on: they are what a supervisor asks for
    stuck = (rng.random(count) < 0.006) & (reported_at > now - 45 * 86_400)
    for moment in (resolved, verified, closed):
        moment[stuck] = np.inf
    rejected = (rng.random(count) < 0.012) & ~stuck
    for moment in (resolved, verified, closed):
        moment[rejected] = np.inf
    for moment in (accepted, resolved, verified, closed):
        moment[nobody] = np.inf
    status = _status((accepted, resolved, verified, closed), now, rng)
    status[rejected & (accepted <= now)] = POSITION["rejected"]
    status[stuck & (accepted <= now)] = rng.choice(
        [POSITION["accepted"], POSITION["suspended"], POSITION["escalated"]],
        int((stuck & (accepted <= now)).sum()),
    )
    status[nobody] = POSITION["unassigned"]
    accepted[rejected] = np.inf
    steps = [
        np.where(moment <= now, np.floor(moment), np.nan) for moment in (accepted, resolved, verified, closed)
    ]
    return Courses(
        status=status,
        revision=1 + np.sum([np.isfinite(step) for step in steps], axis=0) + (status == POSITION["rejected"]),
        accept_due_at=np.floor(reported_at + accept_within),
        resolve_due_at=np.floor(reported_at + close_within),
        accepted_at=steps[0],
        resolved_at=steps[1],
        verified_at=steps[2],
        closed_at=steps[3],
    )


def _status(steps: tuple[Floats, ...], now: float, rng: np.random.Generator) -> Ints:
    accepted, resolved, verified, closed = (moment <= now for moment in steps)
    count = len(accepted)
    status = np.full(count, POSITION["assigned"])
    turn = rng.random(count)
    status[(turn < 0.03)] = POSITION["transferred"]
    status[accepted] = POSITION["accepted"]
    status[accepted & (turn > 0.96)] = POSITION["escalated"]
    status[accepted & (turn > 0.985)] = POSITION["suspended"]
    for reached, state in ((resolved, "resolved"), (verified, "verified"), (closed, "closed")):
        status[reached] = POSITION[state]
    return status
