"""Render a prompt again from its manifest: the same bytes, or the part that is missing.

Needs no embedder and no index: examples are read as they were, out of the change log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from promptlib.errors import ExampleError, InputsError, PromptlibError, ReplayError, TemplateError
from promptlib.example import Example
from promptlib.manifest import data_hash, result_hash, unsealed, versions
from promptlib.message import read_history, turns_of
from promptlib.sending import Sendable
from promptlib.store.database import Database
from promptlib.store.tables import changes, examples, stores
from promptlib.templating.registry import TemplateRegistry, published_template
from promptlib.templating.template import Template, with_cuts


@dataclass(frozen=True)
class Replay(Sendable):
    """A prompt that was rendered again, to the same bytes."""

    text: str
    messages: list[dict[str, Any]] | None
    tokens: int
    """As they were counted when it was built."""
    settings: Mapping[str, Any] = field(repr=False)
    """What its manifest says."""

    @property
    def stable_start(self) -> Mapping[str, Any] | None:
        """Where the start ended that is the same for every query."""
        stable: Mapping[str, Any] | None = self.settings.get("stable_prefix")
        return stable

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return {"text": self.text, "messages": self.messages, "tokens": self.tokens}


def replay_prompt(
    registry: TemplateRegistry, database: Database, manifest: Mapping[str, Any],
    inputs: Mapping[str, Any] | None = None, history: Iterable[Any] | None = None,
) -> Replay:  # fmt: skip
    """Render what a manifest describes.

    `inputs` and `history` are needed where the manifest leaves them out. Raises ReplayError that
    says which part is missing or has changed.
    """
    with _of_odd_shape():
        return _replayed(registry, database, unsealed(manifest), inputs, history)


@contextmanager
def _of_odd_shape() -> Iterator[None]:
    """Say of a manifest that is sealed, and yet not as promptlib makes them, that it isn't one."""
    try:
        yield
    except PromptlibError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ReplayError(f"this isn't a manifest as promptlib makes them: {error!r}") from None


def _replayed(
    registry: TemplateRegistry, database: Database, facts: Mapping[str, Any],
    inputs: Mapping[str, Any] | None, history: Iterable[Any] | None,
) -> Replay:  # fmt: skip
    template = _template(registry, facts["template"])
    given = _inputs(facts, template, inputs)
    said = _history(facts, history)
    shown = _examples(database, facts["store"], facts["examples"])
    static = _static(registry, template, database, facts)
    try:
        rendered = template.render(
            with_cuts(given, template, facts["cuts"]),
            shown,
            labels=facts.get("labels") or (),
            candidate_labels=facts["candidate_labels"],
            label_definitions=facts.get("label_definitions") or {},
            history=said,
            static_examples=static,
            without=facts["sections"]["left_out"],
        )
    except TemplateError as error:
        raise ReplayError(f"the template renders no longer: {error}") from None
    if facts["as_message"]:
        rendered = rendered.as_message()
    if result_hash(rendered.text, rendered.messages) != facts["result"]:
        raise ReplayError(f"every part is there, but the result differs: {_made_by(facts)}")
    return Replay(rendered.text, rendered.messages, facts["tokens"], facts)


def _made_by(facts: Mapping[str, Any]) -> str:
    made, here = facts.get("versions", {}), versions()
    differ = [f"{name} {made.get(name)} (here {here[name]})" for name in here]
    if made == here:
        return "inputs aren't of plain data, or this is a fault of promptlib"
    return f"it was made with {', '.join(differ)}"


def manifest_template(registry: TemplateRegistry, manifest: Mapping[str, Any]) -> Template:
    """Find the template of a manifest by its hash: in any version, or as the working file.

    Raises ReplayError where it isn't to be found.
    """
    with _of_odd_shape():
        return _template(registry, unsealed(manifest)["template"])


def _template(registry: TemplateRegistry, wanted: Mapping[str, Any]) -> Template:
    name, number, hash = wanted["name"], wanted["version"], wanted["hash"]
    version = registry.versions.with_hash(name, hash)
    if version is not None:
        return published_template(version)
    try:
        working = registry.working(name)
        if working.hash == hash:
            return working
        found = "its working file has changed since"
    except TemplateError as error:
        found = str(error)
    if number is not None:
        raise ReplayError(
            f"version {name}@{number} isn't in this database; {found}: replay where it was built"
        )
    raise ReplayError(
        f"the prompt was built from the working file of {name}, which was never published as it "
        f"was then; {found}"
    )


def _inputs(
    facts: Mapping[str, Any], template: Template, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    inputs: dict[str, Any] | None = facts["inputs"]
    if inputs is not None:
        if given:
            raise InputsError("the manifest has its inputs: none can be given beside it")
        return inputs
    if given is None:
        raise InputsError(
            f"the manifest leaves the inputs out: give {', '.join(template.inputs) or 'none'}"
        )
    checked = template.checked_inputs(given)
    if data_hash(checked) != facts["inputs_hash"]:
        raise ReplayError("these aren't the inputs that the prompt was built with")
    return checked


def _history(facts: Mapping[str, Any], given: Iterable[Any] | None) -> list[dict[str, Any]]:
    kept: list[list[dict[str, Any]]] | None = facts["history"]
    if kept is None:
        try:
            turns = turns_of(read_history(given or ()))
        except ExampleError as error:
            raise InputsError(str(error)) from None
        kept = turns[len(turns) - facts["kept_turns"] :]
        if data_hash(kept) != facts["history_hash"]:
            raise ReplayError(
                "the manifest leaves the history out, and this isn't the one the prompt had"
            )
    elif given:
        raise InputsError("the manifest has its history: none can be given beside it")
    return [message for turn in kept for message in turn]


def _static(
    registry: TemplateRegistry, template: Template, database: Database, facts: Mapping[str, Any]
) -> list[Example]:
    """Find the static examples: pinned by any version of the template, or in the store."""
    pins = facts["static_examples"]
    if not pins:
        return []
    versions = registry.versions.of(template.name)
    pinned = {(e.id, e.content_hash): e for version in versions for e in version.static}
    found = [pinned.get((pin["id"], pin["hash"])) for pin in pins]
    if None in found:
        return _examples(database, facts["static_store"] or facts["store"], pins)
    return [example for example in found if example is not None]


def _is(example: Example | None, pin: Mapping[str, str]) -> bool:
    return example is not None and example.content_hash == pin["hash"]


def _examples(
    database: Database, store: Mapping[str, Any] | None, pins: Iterable[Mapping[str, str]]
) -> list[Example]:
    """Read examples as they were at the store's revision; raises ReplayError."""
    pins = list(pins)
    if not pins:
        return []
    if store is None:
        raise ReplayError("the manifest names no store for its examples")
    if not database.exists:
        raise ReplayError(f"there is no database at {database.path} to read its examples from")
    with database.read() as connection:
        key = connection.scalar(select(stores.c.key).where(stores.c.uid == store["uid"]))
        if key is None:
            raise ReplayError(
                f"the store {store['name']!r} that the prompt was built from isn't in this database"
            )
        return [_as_it_was(connection, key, store, pin) for pin in pins]


def _as_it_was(
    connection: Connection, store: int, named: Mapping[str, Any], pin: Mapping[str, str]
) -> Example:
    mine = (changes.c.store == store, changes.c.example == pin["id"])
    until = changes.c.revision <= named["revision"]
    newest = select(changes.c.after).where(*mine, until).order_by(changes.c.key.desc()).limit(1)
    logged = connection.scalar(newest)
    if logged is not None:
        row = json.loads(logged)
        example = Example.from_stored(row["id"], row["content"], row["content_hash"], row["status"])
        if _is(example, pin):
            return example
    # A bundle has no log, but the rows as they were when it was made.
    rows = select(
        examples.c.id, examples.c.content, examples.c.content_hash, examples.c.status
    ).where(examples.c.store == store, examples.c.id == pin["id"])
    found = connection.execute(rows).first()
    if found is not None and _is(example := Example.from_stored(*found), pin):
        return example
    raise ReplayError(
        f"example {pin['id']!r} of store {named['name']!r}, as it was at revision "
        f"{named['revision']}, isn't in this database"
    )
