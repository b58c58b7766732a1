"""Templates by name: working files, published versions, and labels that point at them."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from promptlib.errors import StoreError, TemplateError
from promptlib.store.database import Database
from promptlib.templating.closure import compile_template, read_from
from promptlib.templating.comparing import compare_files
from promptlib.templating.folder import TemplateFolder
from promptlib.templating.naming import (
    LATEST,
    PRODUCTION,
    Reference,
    asks_for_both,
    check_label,
    parse_reference,
)
from promptlib.templating.published import STATIC, Draft, LabelMove, Version
from promptlib.templating.template import Template
from promptlib.templating.versions import TemplateVersions, check_movable

log = logging.getLogger(__name__)

TRUST = 0.5
"""Seconds for which a label is taken to point where it did."""


@dataclass(frozen=True)
class History:
    """What happened to a template: versions and moves of labels, each oldest first."""

    versions: tuple[Version, ...]
    moves: tuple[LabelMove, ...]


Review = Callable[[Template, bool], Draft]
"""Checks a working template and chooses its static examples; anew, if so told."""


class TemplateRegistry:
    """The templates of a folder, and their published versions in a database.

    `intent` is the working file, `intent@3` a version, `intent@production` where a label points.
    With `label`, bare names mean that label. Edited files are read again; a label that was moved
    is followed within TRUST seconds. Safe to share by threads.
    """

    def __init__(
        self, folder: Path | str, database: Database | None = None, *, label: str | None = None,
        review: Review | None = None,
    ) -> None:  # fmt: skip
        if label is not None:
            check_label(label)
        self.files = TemplateFolder(folder)
        self.default_label = label
        self._versions = TemplateVersions(database) if database is not None else None
        self._review = review
        self._working: dict[str, tuple[Any, Template]] = {}
        self._published: dict[tuple[str, int], Template] = {}
        self._resolved: dict[Reference, tuple[float, Template]] = {}

    @property
    def folder(self) -> Path:
        """Where the working files are."""
        return self.files.path

    # -- reading ---------------------------------------------------------------------------------

    def list(self) -> builtins.list[str]:
        """List the names that `get` knows: of files, or of what has the registry's label."""
        if self.default_label is None:
            return self.files.list()
        labels = self.versions.all_labels()
        return sorted(name for name, known in labels.items() if self.default_label in known)

    def __contains__(self, name: str) -> bool:
        return name in self.list()

    def __iter__(self) -> Iterator[str]:
        return iter(self.list())

    def get(self, name: str, *, version: int | None = None, label: str | None = None) -> Template:
        """Load a template with all that it includes; raises TemplateError.

        `name` may say which version is meant, as `intent@3` or `intent@production`.
        """
        reference = self._reference(name, version, label)
        if reference.is_working:
            return self.working(reference.name)
        found = self._resolved.get(reference)
        if found is not None and found[0] > monotonic():
            return found[1]
        try:
            if found is None:
                self._published_name(reference.name)
            template = self._version(reference)
        except StoreError as error:
            if found is None:
                raise
            log.warning("%s is used as it was: %s", reference, error)
            template = found[1]
        self._resolved[reference] = monotonic() + TRUST, template
        return template

    def working(self, name: str) -> Template:
        """Load a template from its working file; raises TemplateError."""
        cached = self._working.get(name)
        if cached is not None and self.files.stamps(cached[1].files) == cached[0]:
            return cached[1]
        stamps: dict[str, Any] = {}

        def read(included: str) -> tuple[str, str]:
            # Before reading: a file that is edited meanwhile is read again next time.
            (stamps[included],) = self.files.stamps([included])
            return self.files.read(included)

        template = compile_template(name, read)
        self._working[name] = tuple(stamps[file] for file in template.files), template
        return template

    def source(self, name: str) -> str:
        """Read a template's own file, or that of a version; raises TemplateNotFoundError."""
        reference = self._reference(name)
        if reference.is_working:
            return self.files.read(reference.name)[0]
        version = self.version(reference)
        return version.files[version.name]

    def path(self, name: str) -> Path:
        """Say where a template's file is, or would be; raises TemplateError for a bad name."""
        return self.files.file(name)

    # -- versions --------------------------------------------------------------------------------

    @property
    def versions(self) -> TemplateVersions:
        """The published versions; raises TemplateError for a registry without a database."""
        if self._versions is None:
            raise TemplateError("this registry has no database: it has working files alone")
        return self._versions

    def version(self, reference: Reference) -> Version:
        """Read the version that a reference means; raises TemplateNotFoundError."""
        self._published_name(reference.name)
        return self.versions.get(reference.name, self.versions.resolve(reference))

    def forget(self) -> None:
        """Let go of published templates that were read, so that they are read again."""
        self._published.clear()
        self._resolved.clear()

    def publish(
        self, name: str, message: str = "", *, label: str | None = None, by: str | None = None,
        force: bool = False, refresh: bool = False,
    ) -> Version:  # fmt: skip
        """Publish the working file with all that it includes.

        What is published already makes no new version; `label` moves to it all the same.
        `refresh` chooses the static examples anew. Raises TemplateError for a template that fails
        its check, unless `force`: then the version records what was wrong.
        """
        names = [name]
        return self.publish_all(names, message, label=label, by=by, force=force, refresh=refresh)[0]

    def publish_all(
        self, names: Sequence[str], message: str = "", *, label: str | None = None,
        by: str | None = None, force: bool = False, refresh: bool = False,
    ) -> builtins.list[Version]:  # fmt: skip
        """Publish several templates as `publish` does: all of them, or none."""
        if label is not None:
            check_movable(label)
        drafts = []
        for reference in map(parse_reference, names):
            if not reference.is_working:
                raise TemplateError(
                    f"{reference}: publish takes the working file: leave out @ and after"
                )
            template = self.working(reference.name)
            drafts.append(
                self._review(template, refresh)
                if self._review is not None
                else Draft(template.name, template.hash, template.files)
            )
        failed = [draft for draft in drafts if draft.problems]
        if failed and not force:
            problems = [problem for draft in failed for problem in draft.problems]
            end = f"nothing was published: {', '.join(d.name for d in failed)} failed the check"
            raise TemplateError("\n".join([*problems, f"{end} (--force overrides it)"]))
        made = self.versions.add(drafts, message=message, label=label, by=by)
        self._resolved.clear()
        return made

    def label(self, name: str, label: str, *, by: str | None = None) -> LabelMove:
        """Let a label point at the version that `name` means, as `intent@3`."""
        reference = parse_reference(name)
        if reference.is_working:
            raise TemplateError(f"which version of {name}? Say {name}@3, or {name}@latest")
        self._published_name(reference.name)
        moved = self.versions.move(reference, label, by=by)
        self._resolved.clear()
        return moved

    def rollback(self, name: str, label: str = PRODUCTION, *, by: str | None = None) -> LabelMove:
        """Move a label back to where it pointed before."""
        moved = self.versions.rollback(self._published_name(name), label, by=by)
        self._resolved.clear()
        return moved

    def history(self, name: str) -> History:
        """Tell what happened to a published template; raises TemplateNotFoundError."""
        name = self._published_name(name)
        return History(tuple(self.versions.of(name)), tuple(self.versions.moves(name)))

    def diff(self, before: str, after: str | None = None) -> str:
        """Compare two states of a template, with all that belongs to it, as a unified diff.

        Without `after` the working file is compared with; it has no static examples of its own.
        """
        first = parse_reference(before)
        second = parse_reference(after) if after is not None else Reference(first.name)
        old, new = self._contents(first), self._contents(second)
        if first.is_working != second.is_working:
            old, new = ({k: v for k, v in each.items() if k != STATIC} for each in (old, new))
        titles = [f"{each} (working)" if each.is_working else str(each) for each in (first, second)]
        return "\n".join(compare_files(old, new, (titles[0], titles[1])))

    # -- parts -----------------------------------------------------------------------------------

    def _reference(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Reference:
        try:
            reference = parse_reference(name, version=version, label=label)
        except TemplateError as error:
            if isinstance(name, str) and asks_for_both(name, version, label):
                there = self.versions.describe(name.partition("@")[0])
                raise TemplateError(f"{error}; {there}") from None
            raise
        if reference.is_working and self.default_label is not None:
            return Reference(reference.name, label=self.default_label)
        return reference

    def _contents(self, reference: Reference) -> dict[str, str]:
        if reference.is_working:
            return dict(self.working(reference.name).files)
        return self.version(reference).contents

    def _published_name(self, name: str) -> str:
        """Give the name of a template that is published; raises TemplateNotFoundError."""
        reference = parse_reference(name)
        if not self.versions.labels(reference.name):
            self.files.read(reference.name)  # there may be no such template at all
            self.versions.resolve(Reference(reference.name, label=LATEST))  # says it isn't
        return reference.name

    def _version(self, reference: Reference) -> Template:
        number, hash = self.versions.identity(reference)
        template = self._published.get((reference.name, number))
        if template is None or template.hash != hash:  # else another database is in its place
            template = published_template(self.versions.get(reference.name, number))
            self._published[reference.name, number] = template
        return template


def published_template(version: Version) -> Template:
    """Compile what was published; raises TemplateError if this promptlib can't."""
    compiled = compile_template(version.name, read_from(version.files, str(version)))
    return replace(compiled, version=version.number, static=version.static)
