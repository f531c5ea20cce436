"""A stream that is made in a thread of its own, a step ahead of the one that uses it."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

Item = TypeVar("Item")

WAIT_S: Final = 0.2  # after which a full or an empty queue is looked at again: has the other side ended?
_END: Final = object()


@contextmanager
def ahead(items: Iterator[Item], depth: int = 1) -> Iterator[Iterator[Item]]:
    """The same items, made in another thread; at most `depth` wait to be used.

    Whoever leaves the context early ends the thread; an error of the stream is raised where it is used.
    """
    waiting: queue.Queue[object] = queue.Queue(depth)
    stop = threading.Event()
    errors: list[BaseException] = []

    def offer(item: object) -> None:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=WAIT_S)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                offer(item)
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  # raised again in the other thread
            errors.append(error)
        finally:
            offer(_END)

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield _taken(waiting, errors)
    finally:
        stop.set()
        thread.join()


def _taken(waiting: "queue.Queue[object]", errors: list[BaseException]) -> Iterator[Item]:
    while (item := waiting.get()) is not _END:
        yield item  # type: ignore[misc]  # what was put is what comes out
    if errors:
        raise errors[0]
