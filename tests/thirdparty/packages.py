"""Installs what a lock file of ours names, for programs of others that run in node."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import skip_unless_ci

INSTALL_SECONDS = 90.0


def install(source: Path, copy: Path) -> Path:
    """Copy a folder and install what its lock file names, running no package's own scripts."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip_unless_ci("node and npm are not installed")
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        skip_unless_ci(f"npm ci did not end within {INSTALL_SECONDS:.0f} s")
        raise
    if done.returncode != 0:
        skip_unless_ci(f"npm ci failed: {done.stderr[-500:]}")
    return copy
