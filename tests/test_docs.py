"""What the documents promise: their snippets run, their links lead somewhere."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli
from promptlib.advice.gates import answers
from promptlib.advice.outcomes import read_outcomes
from promptlib.advice.showing import factor_table
from promptlib.audit.auditing import CHECKS
from promptlib.config import ProjectConfig
from promptlib.project import Project
from promptlib.store.settings import StoreSettings
from promptlib.templating.frontmatter import FrontMatter
from promptlib.testing.assertions import ASSERTIONS, read_assertion
from promptlib.testing.suite import SuiteSpec
from tests.conftest import CHECKOUT, DATA

README = (CHECKOUT / "README.md").read_text()
GUIDES = sorted((CHECKOUT / "docs").glob("*.md"))
DOCUMENTS = [
    *(CHECKOUT / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md")), *GUIDES,
]  # fmt: skip


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def guide(name: str) -> str:
    return (CHECKOUT / "docs" / f"{name}.md").read_text()


def printed_by(code: str, root: Path) -> str:
    """Run a snippet as a program of its own, in a project."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_screen_has_what_and_how() -> None:
    first = README.splitlines()[:25]
    assert "$ make demo" in first and "import promptlib" in first


@pytest.mark.parametrize("code", blocks("python"))
def test_python_snippets_run(code: str, real_root: Path, real_project: Project) -> None:
    said = printed_by(code, real_root)
    assert "lost_or_stolen_card" in said and "tokens of 580" in said


TRAINING = guide("training")
CASES = [
    block.splitlines() for block in blocks("console", TRAINING) if block.startswith("$ promptlib")
]
ADVISED = {lines[0] for lines in CASES}
"""Commands whose output the guide shows: they are run by a test of their own."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].removeprefix("$ promptlib "))
def test_the_cases_of_the_training_guide(
    case: list[str], real_root: Path, real_project: Project
) -> None:
    (real_root / "tickets.jsonl").write_text(blocks("json")[0])
    said = ""
    for command in case[0].removeprefix("$ ").split(" && "):
        arguments = shlex.split(command)[1:]
        with contextlib.chdir(real_root):
            done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
        said += done.stdout
    lines = {line.strip() for line in said.splitlines()}
    assert {line.strip() for line in case[1:]} <= lines


def test_the_cases_show_every_answer() -> None:
    shown = {line.partition(": ")[2] for case in CASES for line in case[1:2]}
    assert all(any(line.startswith(title) for line in shown) for title in answers().values())


def test_the_training_guide_names_every_factor() -> None:
    assert factor_table() in TRAINING


def test_the_outcomes_of_the_training_guide(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    file.write_text(blocks("json", TRAINING)[0])
    assert [o.trained for o in read_outcomes(file, lambda id: False)] == [False, False, True]


def test_the_snippet_of_the_training_guide(real_root: Path, real_project: Project) -> None:
    with contextlib.chdir(real_root), contextlib.redirect_stdout(io.StringIO()) as said:
        scope: dict[str, Any] = {}
        exec(blocks("python", TRAINING)[0], scope)
        exec(blocks("python", TRAINING)[1], scope)
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("train a small classifier")
    assert "lost_or_stolen_card" in lines[-2] and "'train': 40" in lines[-1]


COMMANDS = dict.fromkeys(
    line.removeprefix("$ ").partition("  #")[0]
    for text in (README, *map(Path.read_text, GUIDES))
    for block in blocks("console", text)
    for line in block.splitlines()
    if line.startswith("$ ")
    and "promptlib " in line
    and not line.startswith(("$ pip", "$ promptlib init"))
    and line not in ADVISED
)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line: str, real_root: Path, real_project: Project, small_model: str) -> None:
    shim = real_root / "bin" / "promptlib"
    if not shim.exists():
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
        shim.chmod(0o755)
        (real_root / "README.md").write_text("x")
        (real_root / "tickets.jsonl").write_text(blocks("json")[0])
        shutil.copy(DATA / "foreign" / "antonyms.yaml", real_root)
    path = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line, shell=True, cwd=real_root, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "PATH": path}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def model_server() -> Iterator[str]:
    """A server that speaks the chat completions protocol and repeats the last message."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = {
                "role": "assistant",
                "content": f"You said: {body['messages'][-1]['content']}",
            }
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            answer = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
            data = json.dumps(answer | {"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


CHAT_ROUND = """
import os, sys, json
sys.path.insert(0, os.getcwd())
from fastapi.testclient import TestClient
from chatbot import app, conversations
with TestClient(app) as client:
    said = ["I need a cheap hotel in the north", "Yes, please", " "]
    found = [client.post("/reply", json={"conversation": "ada", "text": text}) for text in said]
print(json.dumps([[answer.status_code, answer.json()] for answer in found]))
assert len(conversations["ada"]) == 4
"""


def test_the_chatbot_of_the_guide_runs(
    real_root: Path, real_project: Project, model_server: str, tmp_path: Path
) -> None:
    code = blocks("python", guide("chatbot"))[0]
    assert len(code.splitlines()) <= 62
    (tmp_path / "chatbot.py").write_text(code)
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT), "CHATBOT_PROJECT": str(real_root),
        "OPENAI_BASE_URL": model_server, "OPENAI_API_KEY": "none",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHAT_ROUND], cwd=tmp_path, capture_output=True,
        text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second, empty = json.loads(done.stdout)
    assert first[0] == 200 and first[1]["text"] == "You said: I need a cheap hotel in the north"
    assert second[0] == 200 and len(second[1]["examples"]) == 3
    assert 200 < second[1]["prompt_tokens"] <= 1800
    assert empty[0] == 422


def test_the_snippet_of_the_models_guide_runs(
    real_root: Path, real_project: Project, small_model: str
) -> None:
    said = printed_by(blocks("python", guide("models"))[0], real_root)
    assert [line.split(",")[0] for line in said.splitlines()] == [
        "similar", "zero-shot", "random",
    ]  # fmt: skip


def test_the_tables_and_cases_of_the_models_guide() -> None:
    text = guide("models")
    config = ProjectConfig.model_validate(tomllib.loads(blocks("toml", text)[0]))
    assert config.models["mine"].base_url
    front = FrontMatter.model_validate(yaml.safe_load(blocks("yaml", text)[0]))
    assert front.answer.metric == "label"
    suite = SuiteSpec.model_validate(yaml.safe_load(blocks("yaml", text)[1]))
    for assertion in (*suite.cases[0].prompt, *suite.cases[0].answer):
        read_assertion(assertion, "the guide", "prompt")
    listed = {word for row in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
              for word in re.findall(r"`([a-z-]+)(?::|`)", row)}  # fmt: skip
    assert {*ASSERTIONS} <= listed
    hook, job = (yaml.safe_load(block) for block in blocks("yaml", text)[2:4])
    assert hook["repos"][0]["hooks"][0]["entry"] == "promptlib test"
    assert any("promptlib test" in step.get("run", "") for step in job["jobs"]["prompts"]["steps"])


def test_the_snippet_and_table_of_the_curation_guide(
    real_root: Path, real_project: Project
) -> None:
    said = printed_by(blocks("python", guide("curation"))[0], real_root)
    assert said.startswith("exact-duplicates 8")
    named = re.findall(
        r"`([a-z-]+)`", "".join(re.findall(r"^\| (`.*?) \|", guide("curation"), re.M))
    )
    assert {*CHECKS} <= {*named}


def test_the_snippet_of_the_evaluation_guide_runs(real_root: Path, real_project: Project) -> None:
    said = printed_by(blocks("python", guide("evaluation"))[0], real_root)
    lines = said.strip().splitlines()
    interval = re.compile(r" [01]\.\d{3} \([01]\.\d{3} to [01]\.\d{3}\) ")
    assert len(lines) == 4 and all(interval.search(line) for line in lines)


def test_many_prompts_of_the_guide(real_project: Project) -> None:
    scope: dict[str, Any] = {"project": real_project}
    exec(blocks("python", guide("chatbot"))[1], scope)
    assert [len(prompt.examples) for prompt in scope["prompts"]] == [2, 2]


def test_the_rows_and_settings_of_the_guide(project: Project, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(blocks("json", guide("stores"))[0])
    assert project.import_file("shapes", rows).added == 3
    (tmp_path / "store.toml").write_text(blocks("toml", guide("stores"))[0])
    settings = StoreSettings.from_toml(tmp_path / "store.toml")
    assert settings.label == "output.intent" and settings.embed.turns == 2


def test_the_template_shown_is_the_starter() -> None:
    assert (CHECKOUT / "templates/banking/intent.j2").read_text() in blocks("jinja")


def test_the_snippets_of_the_template_guide(real_project: Project) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for code in blocks("python", guide("templates")):
            exec(code, {"project": real_project})
    assert said.getvalue().endswith("['production', 'staging']\nTrue\n")


@pytest.mark.parametrize("body", blocks("jinja", guide("templates")))
def test_the_templates_of_the_guide_build(real_project: Project, body: str) -> None:
    file = real_project.registry.path("from/the-guide")
    file.parent.mkdir(exist_ok=True)
    file.write_text(body)
    assert real_project.check("from/the-guide")[0].errors == ()
    prompt = real_project.build("from/the-guide", "My card was stolen " * 20)
    assert prompt.tokens <= prompt.budget
    file.unlink()


def test_the_table_of_the_check_in_the_guide(real_project: Project) -> None:
    (found,) = real_project.check("banking/intent")
    room = found.room
    shown = next(line for line in guide("templates").splitlines() if line.startswith("banking/"))
    assert room is not None and room.mean is not None
    assert shown.split()[1:] == [
        *map(str, (room.least, room.limit, room.stable, round(room.mean))),
        *f"{room.fit_mean} of {room.k}".split(), *f"{room.fit_worst} of {room.k}".split(), "query",
    ]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target
