"""Hugging Face tokenizers by path: transformers itself is the reference."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from promptlib.budget.huggingface import load_tokenizer
from promptlib.errors import EncodingError
from promptlib.project import Project
from tests.conftest import CHECKOUT
from tests.test_message import ANSWER, ASKS, CALL, CALLS, RESULT

CHATML = """\
{%- if messages[0].role != "system" -%}
    {{- "<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n" -}}
{%- endif -%}
{%- if tools %}{{ "<tools>" + (tools | tojson) + "</tools>" }}{% endif -%}
{% for message in messages %}
    {{- "<|im_start|>" + message.role + "\\n" + (message.content or "") -}}
    {% for call in message.tool_calls or [] %}
        {{- call.function.name + " " + (call.function.arguments | tojson) -}}
    {% endfor %}
    {{- "<|im_end|>" + "\\n" -}}
{% endfor %}
{%- if add_generation_prompt %}{{ "<|im_start|>assistant\\n" }}{% endif -%}
"""

STRICT = """\
{{ bos_token }}{% for message in messages %}
{% if (message.role == "user") != (loop.index0 % 2 == 0) %}
{{ raise_exception("roles must alternate") }}{% endif %}
{% generation %}{{ message.role }}: {{ message.content }}{% endgeneration %}
{% endfor %}{{ strftime_now("%Y") }}"""


def make_tokenizer(folder: Path, template: str | None = CHATML) -> Path:
    """Train a small byte-level BPE, with settings that a careless count would trip over."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<s>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=specials, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator([(CHECKOUT / "README.md").read_text()], trainer)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=64)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": {"content": "<s>"},
    }  # fmt: skip
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "small")


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    return reference_of(folder)


def reference_of(folder: Path) -> Any:
    """The same tokenizer as transformers has it."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", chat_template=CHATML
    )


def counted(reference: Any, messages: list[Any], tools: list[Any] | None = None) -> int:
    text = reference.apply_chat_template(
        messages, tools=tools, add_generation_prompt=True, tokenize=False
    )
    return len(reference.encode(text, add_special_tokens=False, truncation=False, padding=False))


TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1))
def test_messages_cost_what_transformers_says(
    folder: Path, reference: Any, said: list[tuple[str, str]]
) -> None:
    messages = [{"role": role, "content": content} for role, content in said]
    counter = load_tokenizer(folder)
    assert counter.count_messages(messages) == counted(reference, messages)
    assert counter.kind_of(messages) == "exact"


def test_tools_and_calls_are_counted_by_the_template(folder: Path, reference: Any) -> None:
    counter = load_tokenizer(folder / "tokenizer.json")
    as_objects = json.loads(json.dumps(CALLS))
    as_objects["tool_calls"][0]["function"]["arguments"] = {"q": "x"}
    expected = counted(reference, [ASKS, as_objects, RESULT, ANSWER], [TOOL])
    assert counter.count_messages([ASKS, CALLS, RESULT, ANSWER], [TOOL]) == expected
    assert counter.kind_of([CALLS], [TOOL]) == "exact"
    broken = CALLS | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": "{oops"}}]}
    assert counter.count_messages([ASKS, broken]) > 0


def test_a_text_is_counted_whole_and_with_what_begins_it(folder: Path) -> None:
    counter = load_tokenizer(folder)
    assert counter.count("") == 1  # <s>
    assert counter.count("word " * 500) > 500  # neither cut at 16 nor filled up to 64


def test_a_template_that_refuses_says_why(tmp_path: Path) -> None:
    counter = load_tokenizer(make_tokenizer(tmp_path / "strict", STRICT))
    assert counter.count_messages([ASKS, ANSWER]) > 0
    with pytest.raises(EncodingError, match=r"template of strict refuses .*: roles must alternate"):
        counter.count_messages([ASKS, ASKS])


def test_templates_in_a_file_of_their_own_and_named_ones(tmp_path: Path) -> None:
    folder = make_tokenizer(tmp_path / "t", None)
    with pytest.raises(EncodingError, match="no chat template beside it"):
        load_tokenizer(folder).count_messages([ASKS])
    assert load_tokenizer(folder).count("x") == 2
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert load_tokenizer(folder).count_messages([ASKS]) > 0
    config = {"chat_template": [
        {"name": "default", "template": "a"}, {"name": "tool_use", "template": "a b c d e"},
    ]}  # fmt: skip
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    counter = load_tokenizer(folder)
    assert counter.count_messages([ASKS], [TOOL]) > counter.count_messages([ASKS]) == 1


def test_a_snapshot_of_links_as_the_hub_keeps_them(tmp_path: Path) -> None:
    folder = make_tokenizer(tmp_path / "model")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(blobs / str(number))
        file.symlink_to(blobs / str(number))
    counter = load_tokenizer(folder)
    assert counter.encoding.startswith("model@") and counter.count_messages([ASKS]) > 5


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% if", "can't be read: "),
        (7, "chat_template must be text, not a number"),
        ([{"name": "default"}], "can't be read"),
        ([{"name": "rag", "template": "x"}], "has no chat template beside it"),
        ("{{ 1 // 0 }}", "refuses the messages"),
        ("{{ messages[5].content }}", "refuses the messages"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "refuses the messages"),
    ],
)
def test_chat_templates_that_cannot_be_used(tmp_path: Path, template: Any, reason: str) -> None:
    folder = make_tokenizer(tmp_path / "t", template)
    with pytest.raises(EncodingError, match=reason):
        load_tokenizer(folder).count_messages([ASKS])


def test_a_folder_is_looked_for_in_the_project(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import promptlib

    make_tokenizer(root / "tok")
    text = (root / "promptlib.toml").read_text()
    (root / "promptlib.toml").write_text(text.replace("embedder.", 'encoding = "tok"\nembedder.'))
    monkeypatch.chdir("/")
    with promptlib.open(root) as project:
        counter = project.build("tickets/route", "x", model=None).encoding
    assert counter.startswith("tok@")


def test_images_are_never_counted_exactly(folder: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "x"}}
    message = {"role": "user", "content": [image]}
    assert load_tokenizer(folder).kind_of([message]) == "estimate"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, r"no tokenizer at .*tokenizer.json: No such file"),
        (b"{}", r"tokenizer.json is not a Hugging Face tokenizer: "),
        (b"\x00\xff", "is not a Hugging Face tokenizer: "),
        (b"", "is not a Hugging Face tokenizer: "),
    ],
)
def test_what_is_no_tokenizer(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(EncodingError, match=reason) as caught:
        load_tokenizer(tmp_path if content is not None else tmp_path / "tokenizer.json")
    assert "\n" not in str(caught.value)


def test_a_project_and_a_call_can_name_one(project: Project, folder: Path) -> None:
    prompt = project.build("tickets/route", "I lost my card", encoding=str(folder))
    assert prompt.encoding.startswith("small@") and prompt.count_kind == "exact"
    assert prompt.messages is not None
    assert prompt.tokens == load_tokenizer(folder).count_messages(prompt.messages)
    assert prompt.tokens <= prompt.budget - prompt.reserve
