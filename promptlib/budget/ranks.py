"""The ranks of an encoding's tokens, in a file that needn't be read whole.

tiktoken's own files hold a line of base64 for each token, which take most of a short process's
start to read. Here are the number of tokens (4 bytes, little-endian), the length of each (a byte),
the rank of each (4 bytes) and the tokens themselves, sorted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import overload

import numpy as np

NUMBER = np.dtype("<u4")


class PackedRanks(Sequence[bytes]):
    """The sorted tokens of a file that `pack_ranks` made, and their ranks."""

    def __init__(self, path: Path) -> None:
        self._data = data = path.read_bytes()
        count = int(np.frombuffer(data, NUMBER, 1)[0])
        lengths = np.frombuffer(data, np.uint8, count, NUMBER.itemsize)
        at = NUMBER.itemsize + count
        self.ranks = np.frombuffer(data, NUMBER, count, at).astype(np.uint32).data
        first = at + NUMBER.itemsize * count
        self._places = np.concatenate([[first], lengths]).cumsum(dtype=np.uint32).data

    def __len__(self) -> int:
        return len(self.ranks)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        return self._data[self._places[place] : self._places[place + 1]]

    def whole(self) -> dict[bytes, int]:
        """Read all tokens, with their ranks."""
        data = self._data
        places = pairwise(self._places.tolist())
        return {data[a:b]: rank for rank, (a, b) in zip(self.ranks.tolist(), places, strict=True)}

    def within(self, text: bytes) -> dict[bytes, int]:
        """Find all tokens that stand anywhere in a text, with their ranks.

        From each place, as far as some token starts so; what starts alike is looked up once.
        """
        found: dict[bytes, int] = {}
        first: dict[bytes, int | None] = {}  # start of a token -> the place of the first such
        for start in range(len(text)):
            place: int | None = 0
            for end in range(start + 1, len(text) + 1):
                part = text[start:end]
                if part in first:
                    place = first[part]
                else:
                    place = first[part] = self._first(part, place or 0)
                    if place is not None and self[place] == part:
                        found[part] = self.ranks[place]
                if place is None:
                    break
        return found

    def _first(self, start: bytes, after: int) -> int | None:
        place = bisect_left(self, start, after)
        return place if place < len(self) and self[place].startswith(start) else None


def pack_ranks(ranks: Mapping[bytes, int]) -> bytes:
    """Pack tokens of 1 to 255 bytes with their ranks."""
    tokens = sorted(ranks)
    numbers = np.array([ranks[token] for token in tokens], NUMBER)
    count = np.array([len(tokens)], NUMBER)
    return b"".join([count.tobytes(), bytes(map(len, tokens)), numbers.tobytes(), *tokens])
