"""Carries out docker/Dockerfile without an engine, and runs what it made.

    .venv/bin/python docker/try_image.py FOLDER

Needs root, the project's .venv (for a PostGIS server to talk to), and a bare Debian 12 in
FOLDER/bookworm-bare (docker/try-in-debootstrap bookworm FOLDER leaves it there). Each stage is a copy of
that bare system; RUN is a shell under chroot. It knows the instructions that the Dockerfile uses, no more.
"""
# ruff: noqa: S101, S603, S606, S607, T201, INP001  its asserts are its checks; it runs programs, and prints what it does

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))


class Stage:
    """One stage of the image: a root folder and what later instructions inherit."""

    def __init__(self, bare: Path, root: Path) -> None:
        subprocess.run(["rm", "-rf", root], check=True)
        subprocess.run(["cp", "-a", bare, root], check=True)
        self.root = root
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.folder = "/"
        self.user = "0"
        self.words: dict[str, list[str]] = {}
        for name, options in (("proc", ["-t", "proc", "proc"]), ("dev", ["--rbind", "/dev"]),
                              ("tmp", ["-t", "tmpfs", "-o", "mode=1777", "tmpfs"])):  # fmt: skip
            subprocess.run(["mount", *options, root / name], check=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")

    def argv(self, argv: list[str]) -> list[str]:
        """The command as it runs inside, as the stage's user, in its folder."""
        script = f"cd {shlex.quote(self.folder)} && exec {shlex.join(argv)}"
        inside = [
            "/usr/sbin/chroot",
            f"--userspec={self.user}:{self.user}",
            str(self.root),
            "/bin/sh",
            "-c",
            script,
        ]
        return ["env", "-i", *(f"{name}={value}" for name, value in self.env.items()), *inside]


def main() -> None:
    """Builds, runs, checks."""
    if len(sys.argv) != 2 or os.geteuid() != 0:
        sys.exit(__doc__)
    folder = Path(sys.argv[1]).resolve()
    if os.environ.get("INSIDE") != "yes":
        os.environ["INSIDE"] = "yes"
        os.execvp(
            "unshare", ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child", "--", *sys.orig_argv]
        )
    context = folder / "context"
    subprocess.run(["rm", "-rf", context], check=True)
    context.mkdir()
    archive = subprocess.run(
        ["git", "-C", PROJECT, "archive", "HEAD"], check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", context], input=archive, check=True)
    final = build(context, folder)
    assert final.user != "0", "the image runs as root"
    try_it(final)


def build(context: Path, folder: Path) -> Stage:
    """The last stage, with every instruction carried out."""
    text = re.sub(
        r"^\s*#.*\n", "", (context / "docker/Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    allowed = [
        line[1:] for line in (context / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if not word:
            continue
        print(f"-- {word} {rest[:100]}", flush=True)
        if word == "FROM":
            name = rest.partition(" AS ")[2] or "final"
            assert rest.startswith("debian:12"), rest
            stage = stages[name] = Stage(folder / "bookworm-bare", folder / f"image-{name}")
            continue
        assert stage is not None
        carry_out(stage, word, rest, context=context, allowed=allowed, stages=stages)
    assert stage is not None
    return stage


def carry_out(
    stage: Stage, word: str, rest: str, *, context: Path, allowed: list[str], stages: dict[str, Stage]
) -> None:
    """One instruction."""
    if word == "RUN":
        certificates = "etc/ssl/certs/ca-certificates.crt"
        extra = {"DEBIAN_FRONTEND": "noninteractive"}
        if Path(
            "/", certificates
        ).exists():  # this machine may reach the registries through a proxy of its own
            (stage.root / certificates).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/", certificates), stage.root / "etc/ssl/host.crt")
            extra["PIP_CERT"] = "/etc/ssl/host.crt"
        env = [f"{name}={value}" for name, value in extra.items()]
        done = subprocess.run(
            stage.argv(["env", *env, "/bin/sh", "-ec", rest]), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}\nRUN failed: {rest}")
    elif word == "COPY":
        copy(stage, rest, context=context, allowed=allowed, stages=stages)
    elif word == "ENV":
        for part in shlex.split(rest):
            name, _, value = part.partition("=")
            stage.env[name] = value
    elif word == "WORKDIR":
        stage.folder = rest
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif word == "USER":
        stage.user = rest
    elif word in {"ENTRYPOINT", "CMD"}:
        stage.words[word] = json.loads(rest)
    elif word == "HEALTHCHECK":
        stage.words[word] = json.loads(rest[rest.index("CMD ") + 4 :])
    else:
        assert word in {"VOLUME", "EXPOSE", "STOPSIGNAL", "LABEL"}, f"{word} is not known here"


def copy(stage: Stage, rest: str, *, context: Path, allowed: list[str], stages: dict[str, Stage]) -> None:
    """COPY, with --from and --chmod; what .dockerignore holds back is not there to be copied."""
    words = rest.split()
    options = dict(word[2:].split("=") for word in words if word.startswith("--"))
    *sources, target = [word for word in words if not word.startswith("--")]
    origin = stages[options["from"]].root if "from" in options else context
    goal = stage.root / (target if target.startswith("/") else f"{stage.folder}/{target}").lstrip("/")
    for source in sources:
        assert "from" in options or source in allowed, f"{source} is kept out by .dockerignore"
        path = origin / source.lstrip("/")
        into = goal / path.name if target.endswith("/") else goal
        into.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(path, into)
        if "chmod" in options:
            into.chmod(int(options["chmod"], 8))


def try_it(stage: Stage) -> None:
    """Starts the image's command as its user against a PostGIS server, asks the health check, stops it."""
    from gridmap.embedded import Cluster  # noqa: PLC0415  the path to it was set above

    with Cluster.temporary(durable=False) as cluster:
        url = cluster.start()
        password = url.split(":")[2].split("@")[0]
        host = cluster.status().data_dir.parent / "run"  # type: ignore[union-attr]
        inside = stage.root / "database"
        inside.mkdir()
        subprocess.run(["mount", "--bind", host, inside], check=True)
        host.chmod(0o755)  # the image's user is neither root nor the server's account
        (host / ".s.PGSQL.5432").chmod(0o777)
        secret = stage.root / "tmp/database_password"
        secret.write_text(password + "\n", encoding="utf-8")
        stage.env |= {
            "GRIDMAP_DATABASE_URL": "postgresql://gridmap@/gridmap?host=/database",
            "GRIDMAP_DATABASE_PASSWORD_FILE": "/tmp/database_password",  # noqa: S108  of the stage's own /tmp
        }
        # Each of env, chroot and the shells becomes the next, so the service has this process id.
        service = subprocess.Popen(stage.argv([*stage.words["ENTRYPOINT"], *stage.words["CMD"]]))
        try:
            print(f"healthy after {healthy(stage, service):.1f} s", flush=True)
            environment = Path(f"/proc/{service.pid}/environ").read_bytes()
            assert password.encode() not in environment, "the password is in the environment"
            owner = Path(f"/proc/{service.pid}").stat().st_uid
            assert owner == int(stage.user), f"it runs as {owner}"
        finally:
            service.terminate()
            code = service.wait(30)
    assert code in {0, -signal.SIGTERM, 128 + signal.SIGTERM}, f"ended with {code}"
    print("1 passed, 0 failed")


def healthy(stage: Stage, service: "subprocess.Popen[bytes]") -> float:
    """Seconds until the health check passed."""
    began = time.monotonic()
    while time.monotonic() - began < 180:
        assert service.poll() is None, f"ended with {service.returncode}"
        done = subprocess.run(stage.argv(stage.words["HEALTHCHECK"]), capture_output=True, check=False)
        if done.returncode == 0:
            return time.monotonic() - began
        time.sleep(0.5)
    sys.exit("not healthy in 180 s")


if __name__ == "__main__":
    main()
