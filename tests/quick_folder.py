"""Where temporary databases lie: in memory, where there is room for them."""

import os
import shutil
from pathlib import Path


def quick_folder(least_free: int) -> Path | None:
    """The folder of files in memory, or None where it is not or has fewer bytes free.

    A disk that takes its time over every file would make the databases of the tests several times slower. A killed
    process loses nothing that it wrote, on whatever disk.
    """
    memory = Path("/dev/shm")  # noqa: S108  only ever the parent of a folder made by mkdtemp
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > least_free else None
