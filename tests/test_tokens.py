import hashlib
from base64 import b64encode
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import tiktoken_ext.openai_public
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget.models import SHIPPED, context_window, encoding_of
from promptlib.budget.ranks import PackedRanks, pack_ranks
from promptlib.budget.shipped import FEW, RANKS, TIMES, ShippedEncoding
from promptlib.budget.tokens import TokenCounter, load_encoding
from promptlib.errors import EncodingError


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_encodings_are_tiktokens_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken's own definition, given our ranks instead of the network's."""
    asked: list[str] = []

    def ours(url: str, expected_hash: str) -> dict[bytes, int]:
        ranks = PackedRanks(RANKS / f"{name}.ranks").whole()
        by_rank = sorted(ranks.items(), key=itemgetter(1))
        lines = (b"%s %d\n" % (b64encode(token), rank) for token, rank in by_rank)
        assert hashlib.sha256(b"".join(lines)).hexdigest() == expected_hash
        asked.append(url)
        return ranks

    monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", ours)
    definition = getattr(tiktoken_ext.openai_public, name)()
    assert asked and definition["pat_str"] == load_encoding(name)._pat_str
    assert definition["mergeable_ranks"] == load_encoding(name)._mergeable_ranks


FEW_BYTES = st.lists(st.sampled_from([b"a", b"b", b"\0", b"\xff"])).map(b"".join)


@given(st.sets(FEW_BYTES.filter(bool) | st.binary(min_size=1, max_size=255)), FEW_BYTES)
def test_ranks_come_back_as_they_were_packed(tokens: set[bytes], text: bytes) -> None:
    ranks = {token: rank for rank, token in enumerate(tokens)}
    with TemporaryDirectory() as folder:
        file = Path(folder, "some.ranks")
        file.write_bytes(pack_ranks(ranks))
        packed = PackedRanks(file)
    assert packed.whole() == ranks and list(packed) == sorted(tokens)
    assert packed.within(text) == {token: rank for token, rank in ranks.items() if token in text}


WORDS = st.sampled_from([
    " the", "\n\n", "   ", "internationalisation", "'ll", "1234", "💳💳", "日本語", "ÅÅ", "\r\n",
    "\ud800", "<|endoftext|>", "=====", " réservé", "Здравствуйте",
])  # fmt: skip
TEXTS = st.lists(WORDS | st.text(max_size=20), max_size=20).map("".join)


@pytest.mark.parametrize("name", SHIPPED)
@given(texts=st.lists(TEXTS, max_size=4), expected=st.booleans())
def test_a_part_of_an_encoding_counts_as_all_of_it(
    name: str, texts: list[str], expected: bool
) -> None:
    part, whole = ShippedEncoding(name), load_encoding(name)
    if expected:
        part.expect(texts)
    assert [*map(part.count, texts)] == [len(whole.encode_ordinary(text)) for text in texts]
    assert part._whole is None  # or nothing was tested


def test_all_of_an_encoding_is_loaded_when_much_is_counted() -> None:
    encoding = ShippedEncoding("cl100k_base")
    texts = ["word " * (FEW // 12), "other " * (FEW // 12)]
    counts = [encoding.count(text) for text in texts]
    assert encoding._whole is None
    assert encoding.count("more " * (FEW // 12)) == FEW // 12 + 1
    assert encoding._whole is not None and [*map(encoding.count, texts)] == counts


def test_all_of_an_encoding_is_loaded_when_counting_goes_on() -> None:
    encoding = ShippedEncoding("cl100k_base")
    assert [encoding.count(f"text {number}") for number in range(TIMES)] == [3] * TIMES
    assert encoding._whole is None
    assert encoding.count("one more") == 2 and encoding._whole is not None


@pytest.mark.parametrize("name", SHIPPED)
@given(text=st.text(st.characters(exclude_categories=("Cs",))))
def test_encodings_round_trip(name: str, text: str) -> None:
    encoding = load_encoding(name)
    assert encoding.decode(encoding.encode_ordinary(text)) == text


def test_known_counts() -> None:
    counter = TokenCounter.for_encoding("o200k_base")
    assert counter.count("") == 0
    assert counter.count("hello world") == 2
    assert counter.count("<|endoftext|>") > 1  # text, never a special token
    assert (counter.encoding, counter.kind, counter.margin) == ("o200k_base", "exact", 0.0)


def test_chat_framing_is_openais_published_rule() -> None:
    """+3 a message, +1 a name, +3 to prime the answer; the roles and contents themselves."""
    counter = TokenCounter.for_encoding("cl100k_base")
    message = {"role": "user", "content": "hello world"}
    assert counter.count_messages([message]) == 3 + (3 + 1 + 2)
    assert counter.count_messages([message, message]) == 3 + 2 * (3 + 1 + 2)
    named = message | {"name": "Ada"}
    assert counter.count_messages([named]) == 3 + (3 + 1 + 2 + 1 + counter.count("Ada"))


@pytest.mark.parametrize(
    ("model", "encoding", "kind"),
    [
        ("gpt-4o-mini", "o200k_base", "exact"),
        ("gpt-4.1", "o200k_base", "exact"),
        ("openai/gpt-4o", "o200k_base", "exact"),
        ("gpt-4", "cl100k_base", "exact"),
        ("gpt-oss-20b", "o200k_base", "exact"),
        ("claude-sonnet-4-5", "o200k_base", "estimate"),
        ("google/gemini-2.5-pro", "o200k_base", "estimate"),
    ],
)
def test_models_have_encodings(model: str, encoding: str, kind: str) -> None:
    found = encoding_of(model)
    assert (found.name, found.kind) == (encoding, kind)


def test_an_estimate_is_more_and_says_so() -> None:
    exact, estimate = TokenCounter.for_model("gpt-4o"), TokenCounter.for_model("claude-opus-4")
    text = "The quick brown fox jumps over the lazy dog. " * 20
    assert estimate.kind == "estimate" and estimate.margin > 0
    assert estimate.count(text) == -(-exact.count(text) * 135 // 100)


def test_what_is_not_known_is_said() -> None:
    with pytest.raises(EncodingError, match="no tokenizer is known for model 'my-own'"):
        TokenCounter.for_model("my-own")
    with pytest.raises(EncodingError, match="'o200k' isn't shipped; did you mean 'o200k_base'"):
        TokenCounter.for_encoding("o200k")
    with pytest.raises(EncodingError, match="'p50k_base' isn't shipped"):
        TokenCounter.for_model("text-davinci-003")


def test_context_windows() -> None:
    assert context_window("gpt-4o-mini") == 128_000
    assert context_window("openai/gpt-4o-mini") == 128_000
    assert context_window("no-such-model") is None


def test_any_function_counts() -> None:
    counter = TokenCounter(lambda text: len(text.split()))
    assert counter.count("three little words") == 3
    assert counter.count_messages([{"role": "user", "content": "two words"}]) == 3 + 3 + 1 + 2
