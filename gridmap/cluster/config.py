"""Configuration of a private cluster: safe first, then fitted to the machine.

The server reads PostgreSQL's own defaults for this machine (made by initdb), then ours, then `local.conf`
beside ours where an administrator made one, then what ALTER SYSTEM set.
"""

import os
import shutil
from pathlib import Path

from gridmap.cluster.home import Place, write_privately

_MB = 1024 * 1024

HBA = """\
# Written by gridmap at every start. Only the socket, only with a password; nothing else matches.
local all all scram-sha-256
local replication gridmap_admin scram-sha-256
"""


def write_config(place: Place, socket: Path, *, durable: bool = True) -> None:
    """Writes `gridmap.conf` and `pg_hba.conf` into the base, readable for the server's account."""
    write_privately(place.base / "pg_hba.conf", HBA, 0o644)
    settings = {
        **_connections(place, socket),
        **_durability(durable=durable),
        **_sizes(memory_bytes(), os.cpu_count() or 1),
        **_log(),
    }
    lines = [
        "# Written by gridmap at every start; your own settings go into local.conf beside this file.",
        "include 'server/data/postgresql.conf'",
        *(f"{name} = {_quoted(value)}" for name, value in settings.items()),
        "include_if_exists 'local.conf'",
    ]
    write_privately(place.base / "gridmap.conf", "\n".join(lines) + "\n", 0o644)


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or its control group's where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = (Path("/sys/fs/cgroup") / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def _connections(place: Place, socket: Path) -> dict[str, str]:
    return {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),  # a plain path, see `socket_folder`
        "unix_socket_permissions": "0700",
        "port": "5432",  # a private folder, so no other server competes for the name of the socket
        "hba_file": str(place.base / "pg_hba.conf"),
        "password_encryption": "scram-sha-256",
        "ssl": "off",
        "max_connections": "100",
        "cluster_name": "gridmap",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "default_text_search_config": "pg_catalog.simple",
    }


def _durability(*, durable: bool) -> dict[str, str]:
    switch = "on" if durable else "off"
    return {"fsync": switch, "synchronous_commit": switch, "full_page_writes": switch}


def _sizes(memory: int, cores: int) -> dict[str, str]:
    def share(part: int, least_mb: int, most_mb: int) -> str:
        return f"{min(max(memory // part // _MB, least_mb), most_mb)}MB"

    return {
        # The service and its workers share the machine: an eighth, and the rest is the system's file cache.
        "shared_buffers": share(8, 128, 2048),
        "effective_cache_size": share(2, 512, 65536),
        "work_mem": share(256, 8, 64),
        "maintenance_work_mem": share(16, 64, 1024),
        # A load of a million rows should not be broken by checkpoints; recovery still takes seconds.
        "max_wal_size": "2GB",
        "min_wal_size": "128MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",  # no spinning disks
        "effective_io_concurrency": "64",
        # Queries here take milliseconds; compiling each costs more than it saves.
        "jit": "off",
        "dynamic_shared_memory_type": _shared_memory(),
        "max_worker_processes": str(max(8, cores)),
        "max_parallel_workers": str(cores),
        "max_parallel_workers_per_gather": str(max(1, cores // 2)),
        "max_parallel_maintenance_workers": str(max(1, cores // 2)),
        # Events are only ever added: a fifth of a million is too late for the planner and the visibility map.
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_vacuum_insert_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.02",
    }


def _shared_memory() -> str:
    """Containers often give /dev/shm 64 MB, which one parallel query may exceed."""
    try:
        return "posix" if shutil.disk_usage("/dev/shm").total >= 256 * _MB else "sysv"  # noqa: S108  only asked
    except OSError:
        return "sysv"


def _log() -> dict[str, str]:
    return {
        "logging_collector": "on",
        "log_destination": "stderr",
        "log_directory": "log",
        # A week, each day over the same day of the last week.
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_file_mode": "0600",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_min_duration_statement": "5s",
        # What people wrote must not land in a log that outlives its erasure: no values, and no DETAIL
        # or CONTEXT (which show the row that failed).
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
