"""Language models by name, asked over real HTTP: answers, every failure, prices and the cache."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import promptlib
from promptlib.diagnosis import diagnose
from promptlib.errors import ConfigError, ModelError, SpendingError
from promptlib.models.answer import Ask
from promptlib.models.asking import Asker
from promptlib.models.cache import AnswerCache
from promptlib.models.listing import list_models
from promptlib.models.opening import OpenModel, open_model
from promptlib.models.prices import Price, Spending
from promptlib.models.spec import KINDS, ModelSpec, find_spec
from promptlib.store.database import Database
from tests.model_server import KEY, ModelServer, serving

MESSAGES = (
    {"role": "user", "content": "I lost my card"},
    {"role": "assistant", "content": "card_lost"},
    {"role": "user", "content": "my card is gone"},
)


def ask(number: int = 0, **changes: Any) -> Ask:
    question = {"role": "user", "content": f"question {number}"}
    given = {"text": "x", "messages": (*MESSAGES[:2], question), "tokens": 20, "max_tokens": 10}
    return Ask(**{**given, **changes})


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


def opened(server: ModelServer, model: str = "label", **changes: Any) -> OpenModel:
    settings = {"timeout": 1.0, "retries": 0, **changes}
    spec = ModelSpec(model=f"openai:{model}", base_url=server.url, **settings)
    return open_model("served", {"served": spec})


# -- names ---------------------------------------------------------------------------------------


def test_a_name_is_in_the_table_or_of_a_kind_or_openais() -> None:
    table = {"mine": ModelSpec(model="openai:llama3", base_url="http://localhost:1/v1")}
    assert find_spec("mine", table).name == "llama3"
    assert find_spec("llm:claude-sonnet-4.5", {}).kind == "llm"
    assert find_spec("local:./folder", {}).name == "./folder"
    assert find_spec("gpt-4o-mini", {}).model == "openai:gpt-4o-mini"


@pytest.mark.parametrize("name", ["", "gpt5-best", "opnai:gpt-4o", "openai:", "mien"])
def test_an_unknown_name_is_an_error_that_says_what_there_is(name: str) -> None:
    with pytest.raises(ConfigError, match="no language model"):
        find_spec(name, {"mine": ModelSpec(model="local:smollm2")})


@given(st.text(max_size=20))
def test_no_name_raises_anything_else(name: str) -> None:
    with contextlib.suppress(ConfigError):
        assert find_spec(name, {}).kind in KINDS


def test_the_table_is_checked() -> None:
    with pytest.raises(ValidationError, match="KIND:NAME"):
        ModelSpec(model="gpt-4o")
    with pytest.raises(ValidationError):
        ModelSpec(model="openai:x", timeout=0)


def test_a_name_of_the_table_goes_wherever_a_model_goes(root: Path, server: ModelServer) -> None:
    config = root / "promptlib.toml"
    config.write_text(
        f'model = "mine"\nembedder.model = "hashing"\n[models.mine]\nmodel = "openai:label"\n'
        f'base_url = "{server.url}"\nwindow = 2000\n'
    )
    route = root / "templates" / "tickets" / "route.j2"
    route.write_text(route.read_text().replace("tokens: 300, ", ""))
    with promptlib.open(root) as project:
        prompt = project.build("tickets/route", "my card is gone")
        assert prompt.settings["model"] == "label" and prompt.budget == 2000
        assert prompt.count_kind == "estimate" and project.check("tickets/route")[0].errors == ()
        done = promptlib.run_prompt(project, "tickets/route", "my card is gone")
        assert done.answer.text == "card_lost" and done.model == "openai:label"
    found = {finding.what: finding for finding in diagnose(root)}
    assert found["language model"].detail == "mine: openai:label"
    assert "mine" in found["can be asked"].detail


def test_the_list_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rows = {row.name: row for row in list_models({}, "gpt-4o-mini")}
    assert "OPENAI_API_KEY" in rows["gpt-4o-mini"].needs
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert not {row.name: row for row in list_models({}, "gpt-4o-mini")}["gpt-4o-mini"].needs


# -- answers -------------------------------------------------------------------------------------


def test_an_answer_with_tokens_cost_and_time(server: ModelServer) -> None:
    model = opened(server, input_price=1.0, output_price=10.0)
    answer = model.model.ask(ask())
    assert answer.text == "card_lost" and answer.finish == "stop"
    assert (answer.input_tokens, answer.output_tokens) == (10, 2)
    assert answer.cost == pytest.approx((10 * 1 + 2 * 10) / 1e6) and answer.seconds > 0


def test_a_stream_is_handed_on_as_it_comes(server: ModelServer) -> None:
    said: list[str] = []
    answer = opened(server).model.ask(ask(), said.append)
    assert "".join(said) == answer.text == "card_lost" and len(said) > 1
    assert (answer.input_tokens, answer.output_tokens) == (10, 2)


def test_a_text_goes_as_one_message_and_stops_where_it_should(server: ModelServer) -> None:
    opened(server, temperature=0.5, seed=3).model.ask(
        ask(messages=None, text="Query: a\nIntent:", stop=("\n",))
    )
    body = server.bodies[-1]
    assert body["messages"] == [{"role": "user", "content": "Query: a\nIntent:"}]
    assert body["stop"] == ["\n"] and body["temperature"] == 0.5 and body["seed"] == 3
    assert body["max_tokens"] == 10  # the older name: others than OpenAI know no other


def test_a_key_of_openais_is_not_for_other_servers(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    opened(server).model.ask(ask())
    assert server.keys[-1] == "none"
    monkeypatch.setenv("MINE", "my-key")
    opened(server, api_key_env="MINE").model.ask(ask())
    assert server.keys[-1] == "my-key"


def test_what_a_model_refuses_to_be_told_is_left_out(
    server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    model = opened(server, "picky").model
    with caplog.at_level(logging.WARNING):
        assert model.ask(ask()).text == "card_lost"
        assert model.ask(ask(1)).text == "card_lost"
    assert "temperature" not in server.bodies[-1]
    assert len(caplog.records) == 1 and "takes no temperature" in caplog.text


@pytest.mark.parametrize(
    ("model", "finish", "text"),
    [
        ("empty", "stop", ""),
        ("refusing", "refusal", "I can't help with that"),
        ("filtered", "refusal", ""),
        ("wordy", "length", "card_lost and so on"),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_odd_answers_are_answers(
    server: ModelServer, model: str, finish: str, text: str, streams: bool
) -> None:
    answer = opened(server, model).model.ask(ask(), (lambda piece: None) if streams else None)
    assert (answer.finish, answer.text) == (finish, text)


FAILURES = {
    "locked": ("refuses to answer without a key: set api_key_env (401", "final"),
    "missing": ("no such model", "final"),
    "poor": ("no credit", "final"),
    "busy": ("busy or broken (429", "again"),
    "broken": ("busy or broken (500", "again"),
    "hang": ("no sign of life", "again"),
    "nonsense": ("no chat completion", "again"),
    "page": ("no chat completion", "again"),
    "long": ("refuses the request (400: maximum context", ""),
}


@pytest.mark.parametrize("model", FAILURES)
@pytest.mark.parametrize("streams", [False, True])
def test_every_failure_is_one_clear_line(server: ModelServer, model: str, streams: bool) -> None:
    words, flag = FAILURES[model]
    with pytest.raises(ModelError) as found:
        opened(server, model).model.ask(ask(), (lambda piece: None) if streams else None)
    assert words in str(found.value) and "\n" not in str(found.value)
    assert f"openai:{model} at {server.url}" in str(found.value)
    assert found.value.again is (flag == "again") and found.value.final is (flag == "final")


def test_half_an_answer_may_be_asked_for_again(server: ModelServer) -> None:
    with pytest.raises(ModelError) as found:
        opened(server, "half").model.ask(ask())
    assert found.value.again and found.value.billed


def test_half_a_stream_is_not_said_twice(server: ModelServer) -> None:
    said: list[str] = []
    with pytest.raises(ModelError, match="broke off after 5 characters") as found:
        opened(server, "half").model.ask(ask(), said.append)
    assert said == ["card_"] and not found.value.again and found.value.billed


def test_a_server_that_is_not_there() -> None:
    spec = ModelSpec(model="openai:x", base_url="http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(ModelError, match="can't be reached") as found:
        open_model("x", {"x": spec}).model.ask(ask())
    assert found.value.again and not found.value.billed


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="set OPENAI_API_KEY") as found:
        open_model("gpt-4o-mini").model.ask(ask())
    assert found.value.final


def test_the_right_key_opens(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", KEY)
    assert opened(server, "locked", api_key_env="MINE").model.ask(ask()).text == "card_lost"


def test_a_key_is_never_repeated(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "sk-very-secret")
    with pytest.raises(ModelError, match="refuses the key in MINE") as found:
        opened(server, "echo", api_key_env="MINE").model.ask(ask())
    assert "sk-very-secret" not in str(found.value)
    monkeypatch.setenv("MINE", "sk-very-secret\n")
    with pytest.raises(ModelError, match="characters that no key has") as found:
        opened(server, api_key_env="MINE").model.ask(ask())
    assert "sk-very-secret" not in str(found.value) and found.value.final
    with pytest.raises(ModelError, match="set api_key_env"):
        opened(server, "locked").model.ask(ask())


def test_a_password_in_an_address_is_never_shown_nor_kept(server: ModelServer) -> None:
    url = server.url.replace("http://", "http://user:s3cret@")
    spec = ModelSpec(model="openai:busy", base_url=url, retries=0)
    model = open_model("m", {"m": spec}).model
    with pytest.raises(ModelError) as found:
        model.ask(ask())
    assert "s3cret" not in str(found.value) and "s3cret" not in str(model.identity)


def test_a_stop_that_a_server_refuses_is_seen_to_here(server: ModelServer) -> None:
    answer = opened(server, "stopless").model.ask(ask(stop=("_",)))
    assert answer.text == "card" and "stop" not in server.bodies[-1]


@pytest.mark.parametrize("lie", [-10, "ten", 10**30, None])
def test_odd_counts_are_not_believed(server: ModelServer, lie: object) -> None:
    server.lie = lie
    answer = opened(server, "liar", input_price=1.0, output_price=1.0).model.ask(ask())
    assert answer.input_tokens == 20 and answer.cost is not None and answer.cost > 0


def test_half_a_character_is_kept_as_a_mark(server: ModelServer, database: Database) -> None:
    asker = Asker(opened(server, "surrogate"), AnswerCache(database))
    assert asker.ask(ask()).text == "a?b" == asker.ask(ask()).text


def test_who_takes_an_answer_is_to_blame_for_not_taking_it(server: ModelServer) -> None:
    def closed(piece: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Asker(opened(server)).ask(ask(), closed)


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "not a url"}, {"base_url": "ftp://x/v1"}, {"base_url": "http://[::1/v1"},
        {"timeout": float("inf")}, {"temperature": float("inf")}, {"input_price": 1.0},
        {"input_price": float("inf"), "output_price": 1.0}, {"concurrency": 0},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_when_it_is_read(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModelSpec(model="openai:x", **changes)


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1.0])
def test_a_limit_is_a_sum(limit: float) -> None:
    with pytest.raises(ConfigError, match="a sum in USD"):
        Spending(limit)


# -- patience, money, cache ----------------------------------------------------------------------


def test_a_thousand_calls_with_faults_are_each_answered_once(tmp_path: Path) -> None:
    """At sixteen at once, one request in five failing: nothing is lost, doubled or miscounted."""
    database = Database("sqlite:///a.db", root=tmp_path)
    with serving() as server:
        model = opened(
            server, "flaky", concurrency=16, retries=8, timeout=1.0, input_price=1.0,
            output_price=10.0,
        )  # fmt: skip
        asker = Asker(model, AnswerCache(database))
        asks = [ask(number) for number in range(1000)]
        replies = list(asker.ask_all(asks))
        assert sorted(reply.number for reply in replies) == list(range(1000))
        answers = [reply.answer for reply in replies if reply.answer is not None]
        failed = [reply.error for reply in replies if reply.answer is None]
        assert all(isinstance(error, ModelError) for error in failed) and len(failed) < 5
        assert sum(server.faults.values()) > 100 and set(server.faults) >= {"busy", "half", "hang"}
        assert 8 <= server.most <= 16
        # What was answered is kept once, and costs what the server said.
        assert sum(answer.input_tokens for answer in answers) == 10 * len(answers)
        paid = sum(answer.cost or 0.0 for answer in answers)
        assert paid == pytest.approx(len(answers) * 30e-6)
        # Answers that were cut or unreadable may have been billed: the most they can cost is added.
        assert asker.spending.spent >= paid
        sent = len(server.bodies)
        again = list(Asker(model, AnswerCache(database)).ask_all(asks))
        kept = [reply for reply in again if reply.answer is not None and reply.answer.cached]
        assert len(kept) == len(answers)
        assert len(server.bodies) - sent >= len(failed)
        assert len(server.bodies) - sent < 60
    database.close()


def test_the_same_question_is_asked_once(server: ModelServer) -> None:
    sent = len(server.bodies)
    replies = list(Asker(opened(server)).ask_all([ask(7), ask(8), ask(7)]))
    assert sorted(reply.number for reply in replies) == [0, 1, 2]
    assert len(server.bodies) - sent == 2


def test_another_try_after_a_failure_and_no_more_than_allowed(server: ModelServer) -> None:
    sent = len(server.bodies)
    asker = Asker(opened(server, "busy", retries=2))
    with pytest.raises(ModelError, match="429"):
        asker.ask(ask())
    assert len(server.bodies) - sent == 3


def test_a_final_error_ends_all(server: ModelServer) -> None:
    sent = len(server.bodies)
    asker = Asker(opened(server, "missing", concurrency=2))
    replies = list(asker.ask_all([ask(number) for number in range(50)]))
    assert len(replies) == 50 and all(reply.error is not None for reply in replies)
    assert len(server.bodies) - sent <= 2


def test_the_cache_knows_a_model_and_how_it_was_asked(
    server: ModelServer, database: Database
) -> None:
    cache = AnswerCache(database)
    first = Asker(opened(server), cache).ask(ask())
    assert not first.cached and Asker(opened(server), cache).ask(ask()).cached
    for changed in ({"temperature": 1.0}, {"seed": 1}):
        assert not Asker(opened(server, **changed), cache).ask(ask()).cached
    assert not Asker(opened(server), cache).ask(ask(max_tokens=11)).cached
    assert not Asker(opened(server), cache, fresh=True).ask(ask()).cached
    assert cache.clear(["openai:label"]) == 4 and cache.clear() == 0


def test_the_key_and_the_prompt_are_never_kept(
    server: ModelServer, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINE", "sk-very-secret")
    asked = ask(text="unheard-of words", messages=None)
    Asker(opened(server, api_key_env="MINE"), AnswerCache(database)).ask(asked)
    database.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"sk-very-secret" not in data and b"unheard-of" not in data


def test_prices_come_from_the_package_or_the_table(server: ModelServer) -> None:
    assert Price(ModelSpec(model="openai:gpt-4o-mini")).of(1_000_000, 0) == pytest.approx(0.15)
    assert Price(ModelSpec(model="local:smollm2")).of(5, 5) == 0.0
    assert opened(server).price.of(5, 5) is None
    assert opened(server, input_price=2.0, output_price=4.0).price.of(1, 1) == pytest.approx(6e-6)


def test_a_limit_needs_a_price(server: ModelServer) -> None:
    with pytest.raises(ConfigError, match="input_price and output_price"):
        Asker(opened(server), spending=Spending(1.0))


@given(
    costs=st.lists(st.floats(0.0, 0.02), min_size=1, max_size=30),
    limit=st.floats(0.0, 0.3),
)
def test_a_limit_is_never_passed(costs: list[float], limit: float) -> None:
    spending, refused = Spending(limit), 0
    for cost in costs:
        try:
            with spending.call(0.02) as paid:
                paid.append(cost)
        except SpendingError:
            refused += 1
    assert spending.spent <= limit * (1 + 1e-6)
    assert not refused or spending.spent + 0.02 > limit


def test_a_limit_stops_before_it_is_passed(server: ModelServer) -> None:
    # The most that one call may cost is 20 in and 10 out: $0.00012; each does cost $0.00003.
    model = opened(server, input_price=1.0, output_price=10.0, concurrency=4)
    asker = Asker(model, spending=Spending(0.001))
    replies = list(asker.ask_all([ask(number) for number in range(100)]))
    answered = [reply for reply in replies if reply.answer is not None]
    assert len(replies) == 100 and 28 <= len(answered) <= 33
    assert asker.spending.spent <= 0.001
    assert "may cost" in str(next(r.error for r in replies if r.error is not None))
