"""A copy of the code that is changed in known ways, to be run in another folder."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Change:
    """Replaces text that stands once in a file. file: below the root of the code."""

    name: str
    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Change the code below this folder. Raises ValueError when its text is not there once."""
        file = root / self.file
        text = file.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: its text is not in {self.file} once")
        file.write_text(text.replace(self.old, self.new))


def copy_code(target: Path) -> None:
    """Copy what Git knows of, as it stands now."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
