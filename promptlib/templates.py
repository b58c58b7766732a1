"""The templates of a project: with the store, the settings and the static examples they name."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlib.checking.findings import Problem, TemplateCheck
from promptlib.errors import ConfigError, PromptlibError, TemplateError
from promptlib.example import Example
from promptlib.filtering import Where
from promptlib.request import settings_for
from promptlib.settings import Options, Settings
from promptlib.static import choose_static
from promptlib.stores import ProjectStores
from promptlib.templating.frontmatter import ExamplesSpec
from promptlib.templating.naming import LATEST, parse_reference
from promptlib.templating.published import Draft
from promptlib.templating.registry import TemplateRegistry
from promptlib.templating.template import Template

if TYPE_CHECKING:
    from promptlib.checking.sample import StoreSample
    from promptlib.importer import Imported


REMEMBERED = 256
"""Settings that are kept, by template and options."""


class ProjectTemplates(ProjectStores):
    """Opens templates by name: `registry` has them, this adds what they take from stores."""

    @cached_property
    def registry(self) -> TemplateRegistry:
        """The templates by name; PROMPTLIB_LABEL says which version bare names mean."""
        label = os.environ.get("PROMPTLIB_LABEL") or None
        folder = self.root / self.config.templates
        return TemplateRegistry(folder, self.database, label=label, review=self._reviewed)

    @cached_property
    def _settings(self) -> dict[Hashable, Settings]:
        return {}

    @cached_property
    def _with_static(self) -> dict[str, tuple[Template, str, Template]]:
        return {}

    def template(self, name: str) -> Template:
        """Load a template by name, version or label, with its static examples.

        Those of a version were pinned when it was published. A working file shows those of the
        newest version, as long as it asks for the same; or else what would be pinned now.
        """
        found = self.registry.get(name)
        spec = found.front.examples
        if found.version is not None or spec is None or spec.static is None:
            return found
        newest = self._newest(found)
        if newest is not None:
            return replace(found, static=newest.static)
        if spec.store is None:
            raise ConfigError(f"template {name!r} has static examples but names no store")
        token = self.store(spec.store).state().token
        known = self._with_static.get(name)
        if known is None or known[:2] != (found, token):
            static, origin = self._chosen(spec)
            known = found, token, replace(found, static=static, static_store=origin)
            self._with_static[name] = known
        return known[2]

    def check(self, *names: str) -> list[TemplateCheck]:
        """Check templates by name, or all of them: working files, unless a name says which version.

        Never raises for a bad template. A store that waits to be imported is looked at as it is.
        """
        samples: dict[str, StoreSample] = {}
        return [self._check(name, samples) for name in names or self.registry.files.list()]

    def _check(self, name: str, samples: dict[str, StoreSample]) -> TemplateCheck:
        try:
            reference = parse_reference(name)
            found = (
                self.registry.working(reference.name)
                if reference.is_working
                else self.registry.get(name)
            )
        except TemplateError as error:
            lines = str(error).split("\n")
            return TemplateCheck(name, tuple(_problem(line, name) for line in lines))
        return self._checked(found, samples)

    def _checked(self, found: Template, samples: dict[str, StoreSample]) -> TemplateCheck:
        from promptlib.checking.check import check_template

        problems: list[Problem] = []
        settings = sample = None
        try:
            settings = self.settings_of(found)
        except PromptlibError as error:
            problems.append(Problem("error", found.place_of("budget"), str(error)))
        try:
            sample = self._sample(found, samples)
            if found.version is None and (newest := self._newest(found)) is not None:
                found = replace(found, static=newest.static)
        except PromptlibError as error:
            problems.append(Problem("error", found.place_of("examples", "store"), str(error)))
        return check_template(found, settings, sample, problems)

    def settings_of(self, template: Template, options: Options | None = None) -> Settings:
        """Resolve the settings that prompts of a template are built with; the same ones only once.

        Raises what `settings_for` refuses.
        """
        given = options or {}
        asked = ((name, type(value), value) for name, value in given.items())
        key = template.name, template.hash, *asked
        try:
            known = self._settings.get(key)
        except TypeError:  # conditions, say, aren't kept
            return settings_for(template, given, self.config, self.root)
        if known is None:
            known = settings_for(template, given, self.config, self.root)
            if len(self._settings) >= REMEMBERED:
                self._settings.clear()
            if known.counter.is_shipped:  # a tokenizer's file may be another one the next time
                self._settings[key] = known
        return known

    def template_of(self, store: str) -> str | None:
        """Name the template that names a store; raises ConfigError where several do."""
        found = []
        for name in self.registry.list():
            spec = self.registry.get(name).front.examples
            if spec is not None and spec.store == store:
                found.append(name)
        if len(found) > 1:
            raise ConfigError(
                f"store {store!r} is used by {', '.join(found)}: say which one with --template"
            )
        return found[0] if found else None

    def import_template(
        self, path: Path | str, *, name: str | None = None, store: str | None = None,
        replace: bool = False,
    ) -> Imported:  # fmt: skip
        """Make a template of another tool's prompt file, and a store of its examples.

        Reads Prompty files, and LangChain's prompts in JSON and YAML. Raises TemplateError.
        """
        from promptlib.converting.convert import convert_file
        from promptlib.importer import import_converted

        made = convert_file(Path(path))
        return import_converted(self, self.registry, made, name=name, store=store, replace=replace)

    # -- parts -----------------------------------------------------------------------------------

    def _newest(self, template: Template) -> Template | None:
        """Load the newest version, if its static examples are what this template asks for."""
        if _asks(template) is None:
            return None
        try:
            newest = self.registry.get(f"{template.name}@{LATEST}")
        except TemplateError:  # there is none, or a promptlib published it that read it differently
            return None
        return newest if _asks(newest) == _asks(template) else None

    def _chosen(self, spec: ExamplesSpec) -> tuple[tuple[Example, ...], dict[str, Any]]:
        """Choose static examples; returns them, and which state of which store they are from."""
        assert spec.store is not None and spec.static is not None
        index = self.index(spec.store)
        with self.database.read() as connection:
            state = index.refresh(connection)
            where = Where.parse(spec.where)
            chosen = choose_static(index, state, connection, spec.static, where)
        origin = {"name": spec.store, "uid": state.origin.uid, "revision": state.origin.revision}
        return chosen, origin

    def _reviewed(self, template: Template, refresh: bool) -> Draft:
        """Check a template that is to be published, and pin its static examples."""
        spec = template.front.examples
        static: tuple[Example, ...] = ()
        if spec is not None and spec.static is not None:
            newest = None if refresh else self._newest(template)
            static = newest.static if newest is not None else self._chosen(spec)[0]
        errors = self._checked(template, {}).errors
        problems = [str(problem) for problem in errors]
        return Draft(template.name, template.hash, template.files, static, problems)

    def _sample(self, template: Template, known: dict[str, StoreSample]) -> StoreSample | None:
        """Read a sample of the store that a template names; raises StoreNotFoundError."""
        from promptlib.checking.sample import sample_starter, sample_store

        spec = template.front.examples
        if spec is None or spec.store is None:
            return None
        if spec.store not in known:
            store, starter = self.find_store(spec.store), self.starter(spec.store)
            known[spec.store] = (
                sample_starter(starter)
                if store is None and starter is not None
                else sample_store(self.store(spec.store))
            )
        return known[spec.store]


def _problem(line: str, name: str) -> Problem:
    """Take a line that begins with a place apart."""
    match = re.match(r"(.+?\.j2(?::\d+)?): (.*)", line)
    return Problem("error", match[1] if match else name, match[2] if match else line)


def _asks(template: Template) -> object:
    """What decides which static examples a template shows."""
    spec = template.front.examples
    return None if spec is None or spec.static is None else (spec.store, spec.static, spec.where)
