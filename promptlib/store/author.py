"""Who writes, where nobody says."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from getpass import getuser


def author() -> str:
    """Name who writes: PROMPTLIB_USER, or git's user, or the user of the machine."""
    return os.environ.get("PROMPTLIB_USER") or _git_user() or _machine_user()


@cache
def _git_user() -> str:
    asked = ["git", "config", "user.name"]
    try:
        done = subprocess.run(asked, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):  # no git
        return ""
    return done.stdout.decode(errors="replace").strip()[:200]


def _machine_user() -> str:
    try:
        return getuser()
    except (OSError, KeyError):  # a container without a user database
        return "unknown"
