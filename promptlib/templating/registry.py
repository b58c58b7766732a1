"""Templates by name, from a folder of files. `banking/intent.j2` is named `banking/intent`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
        if not isinstance(name, str):
            raise TemplateError(f"a template's name must be text, not {name!r}")
        cached = self._cache.get(name)
        if cached is not None and self._stamp(cached[1].files) == cached[0]:
            return cached[1]
        stamps, template = self._load(name)
        self._cache[name] = stamps, template
        return template

    def path(self, name: str) -> Path:
        """Say where a template's file is, or would be; raises TemplateError for a bad name."""
        pure = PurePosixPath(name.removesuffix(SUFFIX))
        if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or not name:
            raise TemplateError(f"template {name!r} would be outside the templates folder")
        return self.folder / f"{pure}{SUFFIX}"

    # -- parts -----------------------------------------------------------------------------------

    def _load(self, name: str) -> tuple[Any, Template]:
        files: dict[str, _File] = {}
        environment = PromptEnvironment(_Bodies(files))
        self._read_with_includes(name, (), environment, files)
        named = set().union(*(file.names for file in files.values()))
        front = files[name].parts.front
        inputs = front.inputs
        if inputs is None:  # a body without declared inputs takes what it names
            free = named - set(SCOPE) - set(environment.globals)
            inputs = {input: InputSpec(type=None) for input in sorted(free)}
        asked = front.examples.query if front.examples is not None else None
        for named_input in [asked] if isinstance(asked, str) else asked or ():
            if named_input not in (*inputs, "history"):
                raise TemplateSyntaxError(
                    f"{self.path(name)}: examples.query names {named_input!r}, which isn't an "
                    f"input; {did_you_mean(named_input, inputs)}"
                )
        if taken := sorted(set(inputs) & set(SCOPE)):
            raise TemplateSyntaxError(
                f"{self.path(name)}: inputs can't be named {', '.join(taken)}: templates use those"
            )
        template = Template(
            name=name,
            front=front,
            inputs=inputs,
            uses=frozenset(named & set(SCOPE)),
            is_chat=any(file.has_messages for file in files.values()),
            files={included: file.source for included, file in files.items()},
            where=files[name].where,
            compiled=environment.get_template(name),
            offsets={file.where: file.parts.offset for file in files.values()},
        )
        return tuple(file.stamp for file in files.values()), template

    def _read_with_includes(
        self, name: str, above: tuple[str, ...], environment: PromptEnvironment,
        files: dict[str, _File],
    ) -> None:  # fmt: skip
        """Read a template and all that it includes into `files`; raises TemplateError."""
        if name in above:
            circle = " -> ".join([*above[above.index(name) :], name])
            raise TemplateError(f"includes go in a circle: {circle}")
        if name in files:
            return
        # Before reading: a file that is edited meanwhile is read again next time.
        (stamp,) = self._stamp([name])
        source, where = self._read(name)
        parts = split_template(source, where)
        try:
            tree = environment.parse(parts.body, name, where)
            names = meta.find_undeclared_variables(tree)  # meets unknown filters and tests too
        except JinjaSyntaxError as error:
            line = error.lineno + parts.offset
            raise TemplateSyntaxError(f"{where}:{line}: {error.message}") from None
        except RecursionError:
            raise TemplateSyntaxError(f"{where}: an expression is nested too deeply") from None
        files[name] = _File(source, where, parts, frozenset(names), _has_messages(tree), stamp)
        for line, included in _references(tree):
            place = f"{where}:{line + parts.offset}"
            if included is None:
                raise TemplateSyntaxError(
                    f"{place}: include, import and extends need a name in quotes, "
                    "so that all that belongs to a template is known"
                )
            try:
                self._read_with_includes(included, (*above, name), environment, files)
            except TemplateError as error:
                if str(error).startswith(str(self.folder)):
                    raise  # it says where already
                raise type(error)(f"{place}: {error}") from None

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


@dataclass(frozen=True)
class _File:
    """One file of a template, taken apart."""

    source: str
    where: str
    parts: Parts
    names: frozenset[str]
    """Variables that it reads and doesn't set."""
    has_messages: bool
    stamp: Any


class _Bodies(BaseLoader):
    """Gives Jinja the bodies of the files that were read as part of one template."""

    def __init__(self, files: Mapping[str, _File]) -> None:
        self.files = files

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        if template not in self.files:
            raise JinjaNotFound(template)
        file = self.files[template]
        return file.parts.body, file.where, None


def _file_stamp(path: str) -> tuple[int, ...] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _references(tree: nodes.Template) -> Iterator[tuple[int, str | None]]:
    """List (line, name) of what a body includes, imports or extends; None for a computed name."""
    kinds = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    for node in tree.find_all(kinds):
        target = node.template  # type: ignore[attr-defined]
        constant = isinstance(target, nodes.Const) and isinstance(target.value, str)
        yield node.lineno, target.value if constant else None


def _has_messages(tree: nodes.Template) -> bool:
    kept = any(node.name == KEEP for node in tree.find_all(nodes.Filter))
    return kept or any(
        node.identifier == MessageExtension.identifier
        for node in tree.find_all(nodes.ExtensionAttribute)
    )
