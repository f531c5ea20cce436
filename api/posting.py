"""Posts that arrive together are stored together: one commit for all that came while the last one was written.

A post is answered when its transaction is committed. Alone, it is stored at once; under load the disk's waiting
time is shared, and so are the threads and round trips, which cost more than the rows.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from anyio import to_thread

from gridmap.errors import Unavailable
from gridmap.intake import Outcome, Post

MOST = 64  # posts in one transaction; each waits for all of them
WAITING = 2_000  # posts; who comes then is told to come again
AT_ONCE = 2  # one prepares while the database works for the other


class Posting:
    """Collects the posts of a process.

    Args:
        store: stores some posts and says for each what became of it; called in a thread.
    """

    def __init__(self, store: Callable[[Sequence[Post]], Sequence[Outcome | Exception]]) -> None:
        self._store = store
        self._waiting: deque[tuple[Post, asyncio.Future[Outcome]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Posts that no transaction holds yet."""
        return len(self._waiting)

    async def take(self, post: Post) -> Outcome:
        """What became of a post, committed.

        Raises:
            GridmapError: it was not stored; the reason.
            Unavailable: too many are waiting.
        """
        if len(self._waiting) >= WAITING:
            raise Unavailable(
                "More posts are waiting than can be stored soon. Try again.", code="too_many_posts"
            )
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((post, answer))
        if len(self._running) < AT_ONCE:
            task = asyncio.create_task(self._run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            try:
                results = await to_thread.run_sync(self._store, [post for post, _ in some])
            except Exception as error:  # noqa: BLE001  # each of those who wait gets it
                results = [error] * len(some)
            for (_, answer), result in zip(some, results, strict=True):
                if answer.done():  # its client went away
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)
