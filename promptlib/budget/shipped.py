"""The encodings that come with promptlib: as much of one as texts need, and all when they are many.

All of an encoding takes longer to load than the rest of a short process's work. But what byte-pair
encoding (Sennrich et al. 2016, arXiv:1508.07909) makes of a text depends on those tokens alone that
stand in it. tiktoken, given just those, counts as with all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from promptlib.budget.ranks import PackedRanks

if TYPE_CHECKING:
    import tiktoken

# Word patterns of the encodings, as published with tiktoken (MIT).
_CL100K = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
    r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PATTERNS = {"o200k_base": _O200K, "cl100k_base": _CL100K}

RANKS = Path(__file__).resolve().parent.parent / "data" / "tiktoken"
"""Where the ranks of the shipped encodings are."""

FEW, TIMES = 10_000, 8
"""Up to so many characters, so often, tokens are looked up: 30 ms for them, and 4 each time. All of
an encoding takes 200."""


@dataclass(frozen=True)
class _Part:
    """What is known of an encoding: enough for some texts."""

    texts: frozenset[str] = frozenset()
    ranks: Mapping[bytes, int] = field(default_factory=dict)
    encoding: tiktoken.Encoding | None = None
    times: int = 0
    """How often more was needed."""


class ShippedEncoding:
    """Counts with an encoding by name, and loads of it what that takes; nothing is fetched.

    Threads may share it without a lock: the worst is that two of them load the same.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._part = _Part()
        self._whole: tiktoken.Encoding | None = None

    def count(self, text: str) -> int:
        """Count the tokens of a text; text that looks like a special token is text."""
        return len(self._knowing([text]).encode_ordinary(text))

    def ends(self, text: str) -> list[int]:
        """Say where the tokens of a text end, in characters."""
        encoding = self._knowing([text])
        _, starts = encoding.decode_with_offsets(encoding.encode_ordinary(text))
        return [*sorted({*starts} - {0}), len(text)]

    def expect(self, texts: Iterable[str]) -> None:
        """Load at once what counting these takes, rather than for one after the other."""
        if self._whole is None:
            self._knowing([*texts])

    def whole(self) -> tiktoken.Encoding:
        """Load all of it."""
        if self._whole is None:
            self._whole = self._made(self._packed.whole())
            self._part = _Part()
        return self._whole

    def _knowing(self, texts: Sequence[str]) -> tiktoken.Encoding:
        if self._whole is not None:
            return self._whole
        part = self._part
        known = part.texts.union(texts)
        if part.encoding is None or len(known) > len(part.texts):
            if part.times == TIMES or sum(map(len, known)) > FEW:
                return self.whole()
            part = self._part = self._more(part, known)
        assert part.encoding is not None
        return part.encoding

    def _more(self, part: _Part, texts: frozenset[str]) -> _Part:
        ranks = {**part.ranks, **self._packed.within(_utf8(texts - part.texts))}
        if part.encoding is not None and len(ranks) == len(part.ranks):
            return replace(part, texts=texts)
        return _Part(texts, ranks, self._made(self._bytes | ranks), part.times + 1)

    @cached_property
    def _packed(self) -> PackedRanks:
        return PackedRanks(RANKS / f"{self.name}.ranks")

    @cached_property
    def _bytes(self) -> dict[bytes, int]:
        """The tokens of one byte, which every text can be made of."""
        return self._packed.within(bytes(range(256)))

    def _made(self, ranks: dict[bytes, int]) -> tiktoken.Encoding:
        import tiktoken

        pattern = _PATTERNS[self.name]
        return tiktoken.Encoding(
            self.name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={}
        )


shipped_encoding = lru_cache(ShippedEncoding)


def _utf8(texts: Iterable[str]) -> bytes:
    """Join texts as tiktoken reads them: for half a character stands U+FFFD."""
    text = "\0".join(texts)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
