"""Template files: `banking/intent.j2` is named `banking/intent`. Nothing outside is ever read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from promptlib.errors import TemplateError, TemplateNotFoundError, did_you_mean
from promptlib.templating.naming import SUFFIX
from promptlib.text import lone_surrogate


class TemplateFolder:
    """The working files of a project's templates."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def list(self) -> list[str]:
        """List the names of all templates; what starts with . or _ is for including alone."""
        files = (file.relative_to(self.path) for file in self.path.rglob(f"*{SUFFIX}"))
        return sorted(
            file.with_suffix("").as_posix()
            for file in files
            if not any(part.startswith((".", "_")) for part in file.parts)
        )

    def file(self, name: str) -> Path:
        """Say where a template's file is, or would be; raises TemplateError for a bad name."""
        if problem := lone_surrogate(name):
            raise TemplateError(f"a template's name {problem}")
        if "@" in name:
            raise TemplateError(f"template {name!r} would be a published version: it has no file")
        pure = PurePosixPath(name.removesuffix(SUFFIX))
        if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or not name:
            raise TemplateError(f"template {name!r} would be outside the templates folder")
        return self.path / f"{pure}{SUFFIX}"

    def read(self, name: str) -> tuple[str, str]:
        """Read a template's source, and say where it stands; raises TemplateNotFoundError."""
        path = self.file(name)
        try:
            # A link may not lead outside either.
            if not path.resolve(strict=True).is_relative_to(self.path.resolve()):
                raise TemplateError(f"template {name!r} is outside the templates folder")
        except (FileNotFoundError, NotADirectoryError):
            raise TemplateNotFoundError(
                f"no template {name!r} in {self.path}; {did_you_mean(name, self.list())}"
            ) from None
        except OSError as error:
            raise TemplateError(f"can't read {path}: {error.strerror}") from None
        except RuntimeError:  # of links, before Python 3.13
            raise TemplateError(f"can't read {path}: links go in a circle") from None
        return read_source(path), str(path)

    def stamps(self, names: Iterable[str]) -> tuple[Any, ...]:
        """Say by time, size and number which states files are in."""
        return tuple(_stamp(f"{self.path}/{name.removesuffix(SUFFIX)}{SUFFIX}") for name in names)


def read_source(path: Path) -> str:
    """Read a file as UTF-8; raises TemplateError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path}: not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise TemplateError(f"can't read {path}: {error.strerror}") from None


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        stat = os.stat(path)
    except (OSError, ValueError):  # ValueError: no file can have this name
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
