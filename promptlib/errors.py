"""Everything that promptlib raises on purpose.

PromptlibError
├── ConfigError              promptlib.toml, store.toml or an argument is wrong
├── ExampleError             a value can't be an example or a message
├── StoreError
│   ├── StoreNotFoundError
│   ├── ExampleNotFoundError
│   ├── BadExamplesError     a file has lines that can't be examples: every one is listed
│   ├── ConflictError        somebody else has changed the rows meanwhile: says who
│   └── ReadOnlyError        a write to a project that can't be written
├── EmbedderError
│   └── ModelNotFoundError   no folder, cache, package or hub has the embedding model
├── StaleIndexError          rows have no vectors for this embedder and none can be made here
├── TemplateError
│   ├── TemplateNotFoundError
│   ├── TemplateSyntaxError
│   └── InputsError          inputs missing, unknown or of the wrong type: all of them at once
├── EncodingError            no tokenizer for this model or encoding
├── BundleError              a bundle isn't whole, or made by a newer promptlib
├── MissingDependencyError   an optional package isn't installed
├── ExportError              rows that a trainer would refuse: every one is listed
├── ProviderError            a provider's API has no form for these messages
├── ModelError               a language model can't be asked, or didn't answer
│   └── SpendingError        another call might cost more than is allowed
├── ReplayError              a prompt can't be rebuilt: the message says which part is missing
├── BudgetError              the prompt doesn't fit even without examples
└── TooFewExamplesError      fewer examples can be shown than min_k asks for
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SHOWN_PROBLEMS = 20
"""Bad lines that a message lists; the error itself has them all."""


class PromptlibError(Exception):
    """Base of all errors that promptlib raises on purpose; `str(error)` is written for the user."""


class ConfigError(PromptlibError):
    """A configuration file or an argument is wrong."""


class ExampleError(PromptlibError, ValueError):
    """A value can't be an example or a message."""


class StoreError(PromptlibError):
    """Something is wrong with an example store."""


class StoreNotFoundError(StoreError, LookupError):
    """No example store has this name."""


class ExampleNotFoundError(StoreError, LookupError):
    """No example in the store has this id."""


class BadExamplesError(StoreError, ValueError):
    """A file has lines that can't be examples.

    `problems` holds (line number, reason) for every one of them; `unit` is what is numbered where
    a file has no lines.
    """

    def __init__(
        self, source: str, problems: Sequence[tuple[int, str]], hint: str = "", unit: str = "line"
    ) -> None:
        self.source = source
        self.problems = tuple(problems)
        shown = self.problems[:SHOWN_PROBLEMS]
        between = ":" if unit == "line" else f", {unit} "
        lines = [f"{source}{between}{number}: {reason}" for number, reason in shown]
        if more := len(self.problems) - len(shown):
            lines.append(f"and {more:,} more")
        super().__init__("\n".join([*lines, hint] if hint else lines))


class ConflictError(StoreError):
    """Rows aren't any more as a change takes them to be; the message says who changed which."""


class ReadOnlyError(StoreError):
    """The project can't be written to."""


class EmbedderError(PromptlibError):
    """The embedding model can't be loaded or used."""


class ModelNotFoundError(EmbedderError, LookupError):
    """No folder, cache, package or hub has the embedding model."""


class StaleIndexError(PromptlibError):
    """Rows have no vectors for this embedder and none can be made here."""


class TemplateError(PromptlibError):
    """A template can't be read or rendered."""


class TemplateNotFoundError(TemplateError, LookupError):
    """No template has this name."""


class TemplateSyntaxError(TemplateError):
    """A template or its front matter can't be parsed."""


class InputsError(TemplateError, ValueError):
    """Inputs are missing, unknown or of the wrong type; the message names all of them."""


class EncodingError(PromptlibError, LookupError):
    """No tokenizer is known for a model or encoding."""


class BundleError(PromptlibError):
    """A bundle isn't as it was made, or was made by a newer promptlib."""


class MissingDependencyError(PromptlibError, ImportError):
    """What was asked for needs a package that isn't installed; the message names the extra."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} need an extra: pip install 'promptlib[{extra}]'")


class ExportError(PromptlibError):
    """Rows can't be exported to train on; `problems` lists every one of them."""

    def __init__(self, problems: Sequence[str], hint: str = "") -> None:
        self.problems = tuple(problems)
        lines = list(self.problems[:SHOWN_PROBLEMS])
        if more := len(self.problems) - len(lines):
            lines.append(f"and {more:,} more")
        super().__init__("\n".join([*lines, hint] if hint else lines))


class ProviderError(PromptlibError):
    """A provider's API has no form for these messages; the message says for which, and why."""


class ModelError(PromptlibError):
    """A language model can't be asked, or didn't answer.

    `again`: asking again may help, `after` so many seconds. `final`: no other question would fare
    better. `billed`: the provider may ask money for it.
    """

    def __init__(
        self, message: str, *, again: bool = False, after: float | None = None,
        final: bool = False, billed: bool = False,
    ) -> None:  # fmt: skip
        self.again = again
        self.after = after
        self.final = final
        self.billed = billed
        super().__init__(message)


class SpendingError(ModelError):
    """Another call might cost more than is allowed: it wasn't made."""

    def __init__(self, message: str) -> None:
        super().__init__(message, final=True)


class ReplayError(PromptlibError):
    """A prompt can't be rebuilt from its manifest; the message says which part is missing."""


class BudgetError(PromptlibError):
    """The prompt is over its budget even without examples.

    `fixed` is what it costs without them, `available` the budget less the reserve, in tokens.
    """

    def __init__(self, message: str, *, fixed: int, available: int) -> None:
        self.fixed = fixed
        self.available = available
        super().__init__(message)


class TooFewExamplesError(PromptlibError):
    """Fewer examples can be shown than `min_k` asks for."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say which known words are near `word`, or else which exist: the tail of an error message."""
    from difflib import get_close_matches

    names = sorted(known)
    if near := get_close_matches(word, names, n=3, cutoff=0.5):
        return f"did you mean {' or '.join(repr(name) for name in near)}?"
    return f"there are: {', '.join(names)}" if names else "there are none"
