"""Kafka, Connect and Debezium as jars: exactly those of `jars.lock`, fetched as Maven would."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("jars.lock")
TRIES = 3


class JarCorrupt(Exception):
    """A file that is not what the lock says."""


def install(lib: Path, plugins: Path) -> None:
    """Fetch what is not in the local Maven repository; link jars into lib, unpack the plugin."""
    lib.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        for path in pool.map(lambda row: fetch(*row), _locked()):
            if path.name.endswith(".tar.gz"):
                _unpack(path, plugins)
            else:
                link = lib / path.name
                link.unlink(missing_ok=True)
                link.symlink_to(path.resolve())


def _locked() -> Iterator[tuple[str, str]]:
    for line in LOCK.read_text().splitlines():
        coordinates, _, digest = line.partition(" sha256:")
        yield coordinates, digest


def fetch(coordinates: str, digest: str) -> Path:
    """Return the file of an artifact, from the local Maven repository or else from Maven.

    Raises JarCorrupt.
    """
    group, name, version, *rest = coordinates.split(":")
    classifier, packaging = rest or ("", "jar")
    context = MavenContext(timeout=60)
    artifact = context.project(group, name).at_version(version).artifact(classifier, packaging)
    for _ in range(TRIES):
        path = Path(artifact.resolve())
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return path
        path.unlink()  # cut off while it was fetched
    raise JarCorrupt(coordinates)


def _unpack(archive: Path, plugins: Path) -> None:
    done = plugins / f".{archive.name}"
    if done.exists():
        return
    plugins.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        # Before Python 3.11.4 there are no filters; the archive's digest was checked anyway.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(plugins)  # noqa: S202
    done.touch()
