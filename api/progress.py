"""How far a command is, for whoever waits at a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

STEPS = 1000


@contextmanager
def progress_of(label: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, nothing in a pipe; what comes out is told the share that is done, 0 to 1."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=STEPS, label=label, file=sys.stderr) as bar:
        yield lambda fraction: bar.update(max(0, int(fraction * STEPS) - bar.pos))
