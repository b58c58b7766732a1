"""A million rows: real ones, then light variations of them, made by a seeded draw.

python benchmarks/million_rows.py FILE.jsonl DATA [--rows N]

DATA is a folder with sets in folders of their own, whose `train.jsonl` and `test.jsonl`, packed or
not, have rows with an input and an output.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

LONGEST = 400
"""Characters: longer rows are another measure's."""
POLITE = ("please", "thanks", "thank you", "asap", "today", "now", "if possible", "again")
OPENERS = ("hi,", "hello,", "so,", "ok,", "well,", "sorry,", "hey,", "and")


def real_rows(data: Path) -> Iterator[tuple[str, str]]:
    """Go through the texts of all sets, each once."""
    seen = set()
    for file in sorted(itertools.chain(data.glob("*/*.jsonl"), data.glob("*/*.jsonl.gz"))):
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                text, output = row.get("input"), str(row.get("output", ""))[:40]
                if isinstance(text, str) and 0 < len(text) <= LONGEST and text not in seen:
                    seen.add(text)
                    yield text, output


def varied(text: str, chance: random.Random) -> str:
    """Change a text a little: a word more, a word less, two words swapped, another number."""
    words = text.split()
    kind = chance.randrange(4)
    if kind == 0 or len(words) < 4:
        return f"{text} {chance.choice(POLITE)}"
    at = chance.randrange(len(words) - 1)
    if kind == 1:
        return " ".join(words[:at] + words[at + 1 :])
    if kind == 2:
        words[at], words[at + 1] = words[at + 1], words[at]
        return " ".join(words)
    return f"{chance.choice(OPENERS)} {text} {chance.randrange(100)}"


def million_rows(data: Path, count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Give so many rows: the real ones in a drawn order, then variations, no text twice."""
    chance = random.Random(seed)
    real = list(real_rows(data))
    chance.shuffle(real)
    seen = {text for text, _ in real}
    made = 0
    for text, output in real[:count]:
        yield {"id": f"m{made:07}", "input": text, "output": output}
        made += 1
    while made < count:
        text, output = chance.choice(real)
        text = varied(text, chance)
        if text not in seen:
            seen.add(text)
            yield {"id": f"m{made:07}", "input": text, "output": output}
            made += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with arguments.file.open("w", encoding="utf-8") as out:
        for row in million_rows(arguments.data, arguments.rows):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
