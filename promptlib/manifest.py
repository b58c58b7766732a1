"""What a prompt's manifest says, sealed by a hash: enough to render the same bytes again.

It holds ids and hashes of examples and templates, never their text. What the user said is in it,
unless it is left out; then a hash stands in its place, and replay asks for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from types import NoneType
from typing import Any

from promptlib.errors import ExampleError, ReplayError
from promptlib.text import canonical_json, kind_of
from promptlib.version import __version__

SEAL = "hash"
"""The key of the hash of everything else."""

PRIVATE = ("inputs", "history")
"""What is left out on request, and by which hash it is known then."""

NEEDED: Mapping[str, tuple[type, ...]] = {
    "template": (dict,), "inputs": (dict, NoneType), "history": (list, NoneType), "cuts": (dict,),
    "kept_turns": (int,), "sections": (dict,), "store": (dict, NoneType),
    "static_store": (dict, NoneType), "candidate_labels": (list,), "examples": (list,),
    "static_examples": (list,), "as_message": (bool,), "tools": (list,), "model": (str, NoneType),
    "reserve": (int,), "tokens": (int,), "result": (str,), "stable_prefix": (dict, NoneType),
}  # fmt: skip
"""What replay reads, and of which kind it is."""


def seal(facts: Mapping[str, Any], *, inputs: bool = True) -> dict[str, Any]:
    """Make a manifest of facts; without `inputs`, the user's text is left out."""
    manifest = json.loads(json.dumps(facts))  # objects print in their own order: it is kept
    if not inputs:
        for name in PRIVATE:
            manifest[f"{name}_hash"] = data_hash(manifest[name])
            manifest[name] = None
    return {**manifest, SEAL: data_hash(manifest)}


def unsealed(manifest: Any) -> dict[str, Any]:
    """Check a manifest; raises ReplayError for what isn't one, or was edited."""
    if isinstance(manifest, Mapping) and isinstance(manifest.get("manifest"), Mapping):
        manifest = manifest["manifest"]  # all that `build --json` says of a prompt
    if not isinstance(manifest, Mapping) or SEAL not in manifest:
        raise ReplayError("this isn't a manifest: it has no hash")
    facts = {name: value for name, value in manifest.items() if name != SEAL}
    try:
        seal = data_hash(facts)
    except ExampleError as error:
        raise ReplayError(f"this isn't a manifest: {error}") from None
    if seal != manifest[SEAL]:
        raise ReplayError(
            "the manifest was edited: its hash doesn't match what it says; take it as it was made"
        )
    if missing := [name for name in NEEDED if name not in facts]:
        raise ReplayError(f"the manifest lacks {', '.join(missing)}: it is of another promptlib")
    for name, kinds in NEEDED.items():
        if not isinstance(facts[name], kinds):
            raise ReplayError(f"the manifest's {name} can't be {kind_of(facts[name])}")
    return facts


def data_hash(value: Any) -> str:
    """Hash plain data; 32 hex digits."""
    text = canonical_json(value).encode(errors="surrogatepass")  # what isn't text is refused later
    return hashlib.sha256(text).hexdigest()[:32]


def result_hash(text: str, messages: Sequence[Mapping[str, Any]] | None) -> str:
    """Hash a finished prompt."""
    result: Any = messages if messages is not None else text
    return hashlib.sha256(json.dumps(result, ensure_ascii=False).encode()).hexdigest()[:32]


@cache
def versions() -> dict[str, str]:
    """Say which versions decide a prompt's bytes."""
    return {"promptlib": __version__, "jinja2": version("jinja2")}
