"""The libraries that the pages carry along: fetched from the package registry, checked, never edited.

`python -m api.pages.vendor` fetches every package of every `vendor/MANIFEST.json` in this repository again
(by `npm pack name@version`, so the registry is the one the machine is set up for) and refuses any file whose
checksum differs. `--check` only compares the files in the tree. `--update name@version` takes a new version
of a package into the manifest that holds it; review the difference, then commit it.

A file whose `from` is null is not in the package, which names its licence without carrying the text.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def manifests(root: Path = ROOT) -> list[Path]:
    """Every manifest of vendored files in the repository, hidden folders left out."""
    found = sorted(root.glob("*/**/vendor/MANIFEST.json")) + sorted(root.glob("*/vendor/MANIFEST.json"))
    return [path for path in dict.fromkeys(found) if not any(p.startswith(".") for p in path.parts)]


def digest(content: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def differences(manifest: Path) -> list[str]:
    """What in the folder of a manifest is missing, changed or not listed; empty when all is as stated."""
    folder = manifest.parent
    listed: dict[str, str] = {}
    for package in json.loads(manifest.read_text())["packages"]:
        listed |= {entry["path"]: entry["sha256"] for entry in package["files"]}
    findings = []
    for path, expected in listed.items():
        file = folder / path
        if not file.is_file():
            findings.append(f"{path}: missing")
        elif digest(file.read_bytes()) != expected:
            findings.append(f"{path}: changed")
    present = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    findings += [f"{path}: not in the manifest" for path in sorted(present - set(listed) - {manifest.name})]
    return findings


def fetch(package: dict[str, Any], folder: Path, *, accept: bool) -> None:
    """Fetches one package and lays its listed files into `folder`.

    Args:
        package: an entry of a manifest: `npm`, `version`, `files` with `from`, `path`, `sha256`.
        folder: where `path` is relative to.
        accept: write the checksums found into `package` instead of refusing others.

    Raises:
        SystemExit: npm is missing or fails, a file is not in the package, or a checksum differs.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is needed to fetch vendored files again; the pages run without it")
    name = f"{package['npm']}@{package['version']}"
    with tempfile.TemporaryDirectory() as work:
        command = [npm, "pack", name, "--silent", "--pack-destination", work]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:  # noqa: S603  # constants
            raise SystemExit(f"npm could not fetch {name}")
        with tarfile.open(next(Path(work).glob("*.tgz"))) as archive:
            for entry in package["files"]:
                if entry["from"] is None:
                    continue
                member = archive.extractfile(f"package/{entry['from']}")
                if member is None:
                    raise SystemExit(f"{name} has no file {entry['from']}")
                content = member.read()
                if accept:
                    entry["sha256"] = digest(content)
                elif digest(content) != entry["sha256"]:
                    raise SystemExit(f"{name}: {entry['from']} is not the file that was reviewed")
                target = folder / entry["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


def main(arguments: list[str]) -> int:
    """Entry of `make vendor`; see the module's text."""
    update = arguments[1] if arguments[:1] == ["--update"] and len(arguments) > 1 else None
    for manifest in manifests():
        stated = json.loads(manifest.read_text())
        for package in stated["packages"]:
            wanted = update is not None and update.rpartition("@")[0] == package["npm"]
            if wanted and update is not None:
                package["version"] = update.rpartition("@")[2]
            if wanted or (update is None and arguments != ["--check"]):
                fetch(package, manifest.parent, accept=wanted)
        if update is not None:
            manifest.write_text(json.dumps(stated, indent=2, ensure_ascii=False) + "\n")
        findings = differences(manifest)
        for finding in findings:
            sys.stderr.write(f"{manifest.relative_to(ROOT)}: {finding}\n")
        if findings:
            return 1
        sys.stdout.write(f"{manifest.relative_to(ROOT)}: {len(stated['packages'])} packages as reviewed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
