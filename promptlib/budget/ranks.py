"""The ranks of an encoding's tokens, in a third of the room of tiktoken's own files.

Those hold a line of base64 for each token, which take most of a short process's start to read. Here
are the number of tokens (4 bytes, little-endian), the length of each (a byte) and the tokens
themselves, by rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate, pairwise
from pathlib import Path

COUNT = 4
"""Bytes of the number of tokens."""


def read_ranks(path: Path) -> dict[bytes, int]:
    """Read what `pack_ranks` made."""
    data = path.read_bytes()
    start = COUNT + int.from_bytes(data[:COUNT], "little")
    places = pairwise(accumulate(data[COUNT:start], initial=start))
    return {data[begin:end]: rank for rank, (begin, end) in enumerate(places)}


def pack_ranks(ranks: Mapping[bytes, int]) -> bytes:
    """Pack ranks, which must count from 0, each once; raises ValueError for others."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    if [ranks[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError("the ranks don't count from 0 one by one")
    return len(tokens).to_bytes(COUNT, "little") + bytes(map(len, tokens)) + b"".join(tokens)
