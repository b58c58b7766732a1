"""Templates by name, from a folder of files. `banking/intent.j2` is named `banking/intent`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import BaseLoader, Environment, meta, nodes
from jinja2 import TemplateNotFound as JinjaNotFound
from jinja2 import TemplateSyntaxError as JinjaSyntaxError

from promptlib.errors import (
    TemplateError,
    TemplateNotFoundError,
    TemplateSyntaxError,
    did_you_mean,
)
from promptlib.templating.environment import PromptEnvironment
from promptlib.templating.frontmatter import InputSpec, Parts, split_template
from promptlib.templating.messages import KEEP, MessageExtension
from promptlib.templating.template import SCOPE, Template

SUFFIX = ".j2"


class TemplateRegistry:
    """The templates of a folder. Edited files are read again; nothing outside it is ever read."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._cache: dict[str, tuple[Any, Template]] = {}
        self._lock = threading.Lock()

    def list(self) -> list[str]:
        """List the names of all templates."""
        files = self.folder.rglob(f"*{SUFFIX}")
        return sorted(
            file.relative_to(self.folder).with_suffix("").as_posix()
            for file in files
            if not any(part.startswith((".", "_")) for part in file.relative_to(self.folder).parts)
        )

    def __contains__(self, name: str) -> bool:
        return name in self.list()

    def __iter__(self) -> Iterator[str]:
        return iter(self.list())

    def source(self, name: str) -> str:
        """Read a template's file; raises TemplateNotFoundError."""
        return self._read(name)[0]

    def get(self, name: str) -> Template:
        """Load a template with all that it includes; raises TemplateError."""
        cached = self._cache.get(name)
        if cached is not None and self._stamp(cached[1].files) == cached[0]:
            return cached[1]
        template = self._load(name)
        with self._lock:
            self._cache[name] = (self._stamp(template.files), template)
        return template

    def path(self, name: str) -> Path:
        """Say where a template's file is, or would be; raises TemplateError for a bad name."""
        pure = PurePosixPath(name.removesuffix(SUFFIX))
        if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or not name:
            raise TemplateError(f"template {name!r} would be outside the templates folder")
        return self.folder / f"{pure}{SUFFIX}"

    # -- parts -----------------------------------------------------------------------------------

    def _load(self, name: str) -> Template:
        files: dict[str, str] = {}
        parts: dict[str, Parts] = {}
        trees: dict[str, nodes.Template] = {}
        environment = PromptEnvironment(_Files(self, files))
        self._close(name, (), environment, files, parts, trees)
        front = parts[name].front
        undeclared = set().union(*(meta.find_undeclared_variables(t) for t in trees.values()))
        free = sorted(undeclared - set(SCOPE) - set(environment.globals))
        declared = front.inputs
        if declared is None:  # a body without declared inputs takes what it names
            declared = {input: InputSpec(type=None) for input in free}
        compiled = {}
        for file in files:
            try:
                compiled[file] = environment.get_template(file)
            except JinjaSyntaxError as error:  # unknown filters and tests show up here
                where = str(self.path(file))
                raise _syntax_error(error, where, parts[file].offset) from None
        if taken := sorted(set(declared) & set(SCOPE)):
            raise TemplateSyntaxError(
                f"{self.path(name)}: inputs can't be named {', '.join(taken)}: templates use those"
            )
        return Template(
            name=name,
            front=front,
            inputs=declared,
            uses=frozenset(undeclared & set(SCOPE)),
            is_chat=any(_has_messages(tree) for tree in trees.values()),
            files=files,
            where=str(self.path(name)),
            compiled=compiled[name],
            offsets={str(self.path(n)): p.offset for n, p in parts.items()},
        )

    def _close(
        self, name: str, above: tuple[str, ...], environment: PromptEnvironment,
        files: dict[str, str], parts: dict[str, Parts], trees: dict[str, nodes.Template],
    ) -> None:  # fmt: skip
        """Read a template and everything it includes, by name; raises TemplateError."""
        if name in above:
            circle = " -> ".join([*above[above.index(name) :], name])
            raise TemplateError(f"{self.path(above[-1])}: includes go in a circle: {circle}")
        if name in files:
            return
        try:
            source, where = self._read(name)
        except TemplateError as error:
            if not above:
                raise
            raise type(error)(f"{self.path(above[-1])}: {error}") from None
        files[name] = source
        parts[name] = split_template(source, where)
        try:
            trees[name] = environment.parse(parts[name].body, name, where)
        except JinjaSyntaxError as error:
            raise _syntax_error(error, where, parts[name].offset) from None
        for included in meta.find_referenced_templates(trees[name]):
            if included is None:
                raise TemplateError(
                    f"{where}: include, import and extends need a name in quotes, "
                    "so that all that belongs to a template is known"
                )
            self._close(included, (*above, name), environment, files, parts, trees)

    def _read(self, name: str) -> tuple[str, str]:
        path = self.path(name)
        try:
            # A link may not lead outside either.
            if not path.resolve(strict=True).is_relative_to(self.folder.resolve()):
                raise TemplateError(f"template {name!r} is outside the templates folder")
            return path.read_text(encoding="utf-8-sig"), str(path)
        except (FileNotFoundError, NotADirectoryError):
            known = self.list()
            raise TemplateNotFoundError(
                f"no template {name!r} in {self.folder}; {did_you_mean(name, known)}"
            ) from None
        except UnicodeDecodeError as error:
            raise TemplateError(f"{path}: not UTF-8 (byte {error.start})") from None
        except OSError as error:
            raise TemplateError(f"can't read {path}: {error.strerror}") from None

    def _stamp(self, names: Iterable[str]) -> tuple[Any, ...]:
        return tuple(
            _file_stamp(f"{self.folder}/{name.removesuffix(SUFFIX)}{SUFFIX}") for name in names
        )


class _Files(BaseLoader):
    """Gives Jinja the bodies of the files that were read as part of one template."""

    def __init__(self, registry: TemplateRegistry, files: Mapping[str, str]) -> None:
        self.registry = registry
        self.files = files

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        if template not in self.files:
            raise JinjaNotFound(template)
        where = str(self.registry.path(template))
        return split_template(self.files[template], where).body, where, None


def _file_stamp(path: str) -> tuple[int, ...] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _syntax_error(error: JinjaSyntaxError, where: str, offset: int) -> TemplateSyntaxError:
    return TemplateSyntaxError(f"{where}:{error.lineno + offset}: {error.message}")


def _has_messages(tree: nodes.Template) -> bool:
    kept = any(node.name == KEEP for node in tree.find_all(nodes.Filter))
    return kept or any(
        node.identifier == MessageExtension.identifier
        for node in tree.find_all(nodes.ExtensionAttribute)
    )
