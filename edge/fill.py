"""Fills in the placeholders of Envoy's configuration: `python -m edge.fill <folder>`."""

from __future__ import annotations

import shutil
import string
import sys
from collections.abc import Mapping
from pathlib import Path

from chassis.config import read_settings
from edge.config import EnvoySettings

EDGE = Path(__file__).parent
DESCRIPTOR_SET = EDGE.parent / "gen" / "api.binpb"


def fill(folder: Path, values: Mapping[str, object]) -> Path:
    """Write all that Envoy reads into a folder, and return the file that it starts with.

    values: by placeholder, those of this folder excepted. Raises KeyError for a missing one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor_set = shutil.copyfile(DESCRIPTOR_SET, folder / DESCRIPTOR_SET.name)
    for source in (EDGE / "envoy.yaml", *(EDGE / "secrets").iterdir()):
        text = string.Template(source.read_text()).substitute(
            values, SECRETS_DIR=folder, DESCRIPTOR_SET=descriptor_set
        )
        (folder / source.name).write_text(text)
    return folder / "envoy.yaml"


def main() -> None:
    """Fill in what the environment says."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m edge.fill <folder>")
    values = read_settings(EnvoySettings).model_dump()
    fill(Path(sys.argv[1]), {name.upper(): value for name, value in values.items()})


if __name__ == "__main__":
    main()
