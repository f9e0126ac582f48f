"""Runs a copy of the project in ``management/`` in separate processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Project:
    """A copy of the project in a directory without ``.env`` and data."""

    def __init__(self, folder: Path, warnings: str = "error") -> None:
        self.folder = folder
        self.warnings = warnings
        shutil.copy(ROOT / "manage.py", folder)
        shutil.copytree(ROOT / "management", folder / "management")

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run manage.py with only these variables, from another directory than its own."""
        return subprocess.run(
            [sys.executable, "-W", self.warnings, self.folder / "manage.py", *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
