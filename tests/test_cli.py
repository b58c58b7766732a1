"""The command: what goes to stdout and stderr, what the exit code is, what bad input says."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from cli.build_command import COLUMNS
from cli.main import cli
from tests.conftest import CHECKOUT, ROWS, TEMPLATE, write_rows
from tests.test_huggingface import make_tokenizer

Run = Callable[..., Result]


@pytest.fixture
def run(root: Path) -> Run:
    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(cli, ["-C", str(root), *arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    return run


def refused(result: Result, *parts: str, code: int = 1) -> None:
    """One line to the user, no traceback, nothing on stdout."""
    assert result.exit_code == code and result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.stderr
    for part in parts:
        assert part in result.stderr, result.stderr


def commands() -> list[tuple[str, click.Command]]:
    found = []
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", child) for sub, child in sorted(command.commands.items())]
    return found


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda value: str(value))
def test_every_command_has_help_with_an_example(name: str, command: click.Command) -> None:
    result = CliRunner().invoke(cli, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "promptlib " in result.output.split("Options:")[0].split("\n", 2)[2], name
    for option in command.params:
        if isinstance(option, click.Option):
            described = option.help or isinstance(option.type, click.Choice)
            assert described, f"{name} {option.name}"


def test_every_command_is_in_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    for name, _ in commands():
        group, _, sub = name.partition(" ")
        rows = [line for line in readme.splitlines() if line.startswith(f"| `promptlib {group}")]
        assert any(f"`{sub or group}`" in line or f"{group} {sub}".strip() in line for line in rows)


# -- build ---------------------------------------------------------------------------------------


def test_build_prints_the_prompt_and_talks_on_stderr(run: Run) -> None:
    result = run("build", "tickets/route", "I lost my card")
    assert result.exit_code == 0
    assert result.stdout.startswith("system: Answer with one of: card_lost")
    assert result.stdout.endswith("user: I lost my card\n")
    assert "importing tickets: 11 rows" in result.stderr
    assert "tokens of 290 (300 less 10 reserved), o200k_base, exact; 4 examples" in result.stderr
    assert "\x1b" not in result.output
    assert "importing" not in run("build", "tickets/route", "again").stderr


def test_build_reads_stdin_and_inputs(run: Run, tmp_path: Path) -> None:
    for result in (
        run("build", "tickets/route", "-", stdin="from a pipe\n"),
        run("build", "tickets/route", stdin="from a pipe\r\n"),
        run("build", "tickets/route", "-i", "query=from a pipe"),
        run("build", "tickets/route", "-p", "query=from a pipe"),
    ):
        assert result.stdout.endswith("user: from a pipe\n"), result.output
    (tmp_path / "q.txt").write_text("from a file")
    result = run("build", "tickets/route", "--input", f"query=@{tmp_path}/q.txt")
    assert result.stdout.endswith("user: from a file\n")


def test_build_formats(run: Run) -> None:
    messages = json.loads(run("build", "tickets/route", "card", "--format", "messages").stdout)
    assert messages[0]["role"] == "system" and messages[-1] == {"role": "user", "content": "card"}
    body = json.loads(run("build", "tickets/route", "card", "--format", "openai").stdout)
    assert body == {"model": "gpt-4o-mini", "messages": messages, "max_completion_tokens": 10}
    data = json.loads(run("build", "tickets/route", "card", "--json", "-k", "2").stdout)
    assert data["messages"][-1]["content"] == "card" and len(data["examples"]) == 2
    assert data["hint"]["grade"] == "too few to ask" and data["manifest"]["k"] == 2


def test_build_explains_on_stderr(run: Run) -> None:
    result = run("build", "tickets/route", "card", "--explain", "--budget", "110", "-k", "8")
    assert "\t".join(COLUMNS) in result.stderr
    assert "kept" in result.stderr and "over budget" in result.stderr


def test_build_takes_typed_inputs_and_history(run: Run, root: Path, tmp_path: Path) -> None:
    template = "---\ninputs: {n: {type: integer}, tags: {type: list}}\n---\n{{ n + 1 }} {{ tags }}"
    (root / "templates" / "typed.j2").write_text(template)
    assert run("build", "typed", "-i", "n=2", "-i", 'tags=["a"]').stdout == '3 ["a"]\n'
    refused(run("build", "typed", "-i", "n=two"), "--input n (integer) is not JSON", code=2)
    (root / "templates" / "chat.j2").write_text("{% turns history %}")
    history = tmp_path / "history.json"
    history.write_text('[{"role": "user", "content": "hi"}]')
    assert run("build", "chat", "--history", str(history)).stdout == "user: hi\n"
    history.write_text("{}")
    refused(run("build", "chat", "--history", str(history)), "must be a list of messages")


@pytest.mark.parametrize(
    ("arguments", "parts", "code"),
    [
        (["build", "tickets/rout", "x"], ["no template 'tickets/rout'", "'tickets/route'"], 1),
        (["build", "tickets/route", "x", "--store", "tikets"], ["did you mean 'tickets'"], 1),
        (["build", "tickets/route", "x", "-i", "a=1", "-i", "b=2"],
         ["unknown input 'a'", "unknown input 'b'"], 1),
        (["build", "tickets/route", "x", "--budget", "20"], ["without any example, 10 are"], 1),
        (["build", "tickets/route", "x", "-k", "-1"], ["-1 is not in the range x>=0"], 2),
        (["build", "tickets/route", "x", "--budget", "0"], ["0 is not in the range x>=1"], 2),
        (["build", "tickets/route", "x", "-i", "query"], ["is not NAME=VALUE"], 2),
        (["build", "tickets/route", "-i", "query=@/no/such"], ["can't read /no/such"], 1),
        (["build", "tickets/route", "x", "--encoding", "o200"], ["did you mean 'o200k_base'"], 1),
        (["build", "tickets/route", "x", "--strategy", "best"], ["no strategy 'best'"], 2),
        (["search", "tikets", "x"], ["no store 'tikets'; did you mean 'tickets'"], 1),
        (["search", "tickets", " "], ["the query is empty"], 1),
        (["store", "show", "tickets", "nothing"], ["no example 'nothing'"], 1),
        (["store", "rm", "tickets", "nothing"], ["no example 'nothing'"], 1),
        (["store", "create", "a/b"], ["can't be a store's name"], 1),
        (["store", "import", "tickets", "/no/such.jsonl"], ["there is no file /no/such.jsonl"], 1),
        (["tokens", "/no/such"], ["can't read /no/such: No such file"], 1),
        (["tokens", "--model", "gtp"], ["no tokenizer is known for model 'gtp'"], 1),
        (["nonsense"], ["No such command 'nonsense'"], 2),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(
    run: Run, arguments: list[str], parts: list[str], code: int
) -> None:
    run("build", "tickets/route", "x")  # the starter is imported
    refused(run(*arguments, stdin=""), *parts, code=code)


def test_zero_shot_is_fine(run: Run) -> None:
    result = run("build", "tickets/route", "x", "-k", "0")
    assert result.exit_code == 0 and "assistant" not in result.stdout


def test_outside_a_project(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["-C", str(tmp_path), "build", "x"])
    refused(result, "no promptlib.toml", "make one with: promptlib init")


def test_stdin_that_is_not_utf8(run: Run) -> None:
    refused(
        run("build", "tickets/route", "-", stdin=b"caf\xe9"), "stdin is not UTF-8 text (byte 3)"
    )


# -- init ----------------------------------------------------------------------------------------


def test_init_makes_a_project_and_leaves_what_is_there(tmp_path: Path) -> None:
    target = tmp_path / "new"
    assert CliRunner().invoke(cli, ["init", str(target)]).exit_code == 0
    rows = (target / "example_stores" / "banking77" / "examples.jsonl").read_bytes()
    assert rows == (CHECKOUT / "example_stores" / "banking77" / "examples.jsonl").read_bytes()
    (target / "templates" / "banking" / "intent.j2").write_text("mine")
    again = CliRunner().invoke(cli, ["init", str(target)])
    assert "is a project already" in again.stderr
    assert (target / "templates" / "banking" / "intent.j2").read_text() == "mine"
    (tmp_path / "file").write_text("")
    refused(CliRunner().invoke(cli, ["init", str(tmp_path / "file")]), "can't write to")


# -- search, templates, tokens, doctor -----------------------------------------------------------


def test_search(run: Run) -> None:
    result = run("search", "tickets", "I lost my card", "-k", "2")
    lines = result.stdout.splitlines()
    assert lines[0] == "score\tsimilarity\tlabel\tinput\tid" and lines[1].startswith(
        "1.0000\t1.0000\tcard_lost\tI lost my card"
    )
    found = json.loads(run("search", "tickets", "card", "-k", "3", "--json").stdout)
    assert [row["rank"] for row in found] == [1, 2, 3] and found[0]["label"] == "card_lost"


def test_templates(run: Run, root: Path) -> None:
    (root / "templates" / "broken.j2").write_text("{{")
    result = run("template", "list")
    route = "tickets/route\tchat\tnot published\t\t\tquery\tRoute a ticket."
    assert route in result.stdout.splitlines() and "broken\tbroken" in result.stdout
    assert json.loads(run("template", "list", "--json").stdout)[1]["name"] == "tickets/route"
    assert run("template", "show", "tickets/route").stdout == TEMPLATE
    rows = write_rows(root / "two.jsonl", ROWS[:2])
    result = run("template", "render", "tickets/route", "-i", "query=x", "--examples", str(rows))
    assert result.stdout.count("assistant: card_lost") == 2
    data = json.loads(run("template", "render", "tickets/route", "-i", "query=x", "--json").stdout)
    assert [message["role"] for message in data["messages"]] == ["system", "user"]
    refused(run("template", "render", "tickets/route"), "input 'query' is missing")


def test_tokens(run: Run, tmp_path: Path) -> None:
    assert run("tokens", stdin="hello world").stdout == "2\n"
    file = tmp_path / "chat.json"
    file.write_text('[{"role": "user", "content": "hello world"}]')
    assert run("tokens", str(file), "--chat").stdout == "9\n"
    data = json.loads(run("tokens", str(file), "--model", "gpt-4", "--json").stdout)
    assert data["encoding"] == "cl100k_base" and data["count_kind"] == "exact"
    result = run("tokens", "--model", "claude-opus-4", stdin="hello world")
    assert result.stdout == "3\n" and "an estimate" in result.stderr
    refused(run("tokens", "--chat", stdin="{}"), "must be a list of messages")
    refused(run("tokens", stdin=b"\xff"), "is not UTF-8 text (byte 0)")
    refused(run("tokens", "--model", "a", "--encoding", "b", stdin=""), "not both", code=2)


def test_doctor(run: Run, root: Path, tmp_path: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "first prompt     tickets/route:" in result.stdout
    assert not (root / ".promptlib").exists()  # it looks and changes nothing
    run("build", "tickets/route", "x")
    run("store", "create", "empty")
    assert "empty (0 rows), tickets (11 rows)" in run("doctor").stdout
    findings = json.loads(run("doctor", "--json").stdout)
    assert {finding["status"] for finding in findings} == {"ok"}
    (root / "templates" / "broken.j2").write_text("{{ x | nofilter }}")
    result = run("doctor")
    assert result.exit_code == 1 and "broken.j2:1: No filter named 'nofilter'" in result.stdout
    (root / "promptlib.toml").write_text('embedder.model = "./nowhere"')
    result = run("doctor")
    assert result.exit_code == 1 and "there is no folder nowhere" in result.stdout
    outside = CliRunner().invoke(cli, ["-C", str(tmp_path / "project" / ".."), "doctor"])
    assert outside.exit_code == 1 and "fix" in outside.stdout and "promptlib init" in outside.stdout


# -- stores --------------------------------------------------------------------------------------


def test_store_create_add_show_edit_rm(run: Run) -> None:
    assert run("store", "create", "mine", "--label", "output").exit_code == 0
    refused(run("store", "create", "mine"), "there is a store 'mine' already")
    id = run("store", "add", "mine", "--input", "q", "--output", "a", "--by", "Ada").stdout.strip()
    row = '{"input": {"title": "t"}, "output": "b", "id": "t-1", "source": "web"}'
    assert run("store", "add", "mine", stdin=row).stdout == "t-1\n"
    refused(run("store", "add", "mine", stdin=row), "has t-1 already")
    refused(run("store", "add", "mine", stdin="{"), "stdin is not JSON")
    refused(run("store", "add", "mine", "--input", " "), "input is empty")
    refused(run("store", "add", "mine", "--output", "x"), "give --input too", code=2)
    assert json.loads(run("store", "show", "mine", "t-1").stdout)["metadata"] == {"source": "web"}
    assert "t-1\tapproved\tb\ttitle: t" in run("store", "show", "mine").stdout
    assert run("store", "edit", "mine", id, "--output", "c").exit_code == 0
    assert json.loads(run("store", "show", "mine", id, "--json").stdout)["output"] == "c"
    assert "nothing to change" in run("store", "edit", "mine", id, "--output", "c").stderr
    assert run("store", "edit", "mine", id, "--status", "rejected").exit_code == 0
    assert json.loads(run("store", "stats", "mine", "--json").stdout)["statuses"] == {
        "approved": 1, "rejected": 1,
    }  # fmt: skip
    assert run("store", "rm", "mine", id, "t-1").exit_code == 0
    listed = json.loads(run("store", "list", "--json").stdout)
    assert {row["name"]: row["rows"] for row in listed} == {"mine": 0, "tickets": None}


def test_store_edit_in_an_editor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("build", "tickets/route", "x")
    id = json.loads(run("search", "tickets", "new pin please", "--json").stdout)[0]["id"]
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/new pin please/a new code please/' \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    assert "changed" in run("store", "edit", "tickets", id).stderr
    assert json.loads(run("store", "show", "tickets", id).stdout)["input"] == "a new code please"
    for text, reason in (
        ("broken", "the edited text is not JSON"),
        ('{"id": "other", "input": "a", "output": "b"}', "can't be changed"),
        ('{"input": "a", "output": "b", "statu": "rejected"}', "did you mean 'status'"),
        ('{"input": "", "output": "b"}', "input is empty"),
    ):
        editor.write_text(f"#!/bin/sh\necho '{text}' > \"$1\"\n")
        result = run("store", "edit", "tickets", id)
        refused(result, reason, "what you wrote is kept in ")
        kept = Path(result.stderr.rpartition("is kept in ")[2].strip())
        assert kept.read_text() == text + "\n"
        kept.unlink()
    editor.write_text('#!/bin/sh\nrm "$1"\n')
    refused(run("store", "edit", "tickets", id), "No such file")


def test_store_import_export_and_sync(run: Run, root: Path) -> None:
    file = write_rows(root / "rows.jsonl", [*ROWS, ROWS[0], {"input": "to do"}])
    result = run("store", "import", "new", str(file))
    assert "new: 13 added (revision 1)" in result.stderr
    assert "repeat another one exactly (they are kept): 1" in result.stderr
    assert (
        "which prompts don't show): 1" in result.stderr
        and "the label of a row is its output" in result.stderr
    )
    assert json.loads(run("store", "import", "new", str(file), "--json").stdout)["unchanged"] == 13
    first = run("store", "export", "new").stdout
    assert "wrote 13 examples" in run("store", "export", "new", str(root / "out.jsonl")).stderr
    assert (root / "out.jsonl").read_text() == first
    run("store", "import", "copy", str(root / "out.jsonl"))
    assert run("store", "export", "copy").stdout == first
    assert run("store", "sync", "tickets", "--check").exit_code == 1
    assert "tickets: 11 added" in run("store", "sync", "tickets").stderr
    assert run("store", "sync", "tickets", "--check").exit_code == 0
    checked = run("store", "sync", "tickets", "--check", "--json").stdout
    assert json.loads(checked) == {"in_sync": True}
    starter = root / "example_stores" / "tickets" / "examples.jsonl"
    write_rows(starter, [*ROWS, {"input": "late", "output": "x"}])
    os.utime(starter, ns=(1, 1))
    assert run("store", "sync", "tickets", "--check").exit_code == 1
    assert "note: example_stores/tickets/examples.jsonl or store.toml has changed" in run(
        "build", "tickets/route", "x"
    ).stderr  # fmt: skip
    refused(
        run("store", "sync", "new"), "store 'new' has no file example_stores/new/examples.jsonl"
    )


def test_bad_lines_are_listed_and_nothing_is_imported(run: Run, root: Path) -> None:
    file = root / "bad.jsonl"
    file.write_bytes(b'{"input": "a", "output": "b"}\nnope\n{"input": "caf\xe9", "output": "x"}\n')
    result = run("store", "import", "fresh", str(file))
    refused(
        result,
        "bad.jsonl:2: not JSON",
        "bad.jsonl:3: not UTF-8",
        "bad lines: 2 of 3; nothing was taken",
    )
    assert "fresh" not in run("store", "list").stdout
    result = run("store", "import", "fresh", str(file), "--skip-bad")
    assert result.exit_code == 0 and "bad.jsonl:2: left out" in result.stderr


def test_conflicts_are_listed(run: Run, root: Path) -> None:
    file = write_rows(root / "rows.jsonl", [{"id": "a", "input": "q", "output": "x"}])
    run("store", "import", "s", str(file))
    run("store", "edit", "s", "a", "--output", "mine")
    assert "1 left as edited here" in run("store", "import", "s", str(file)).stderr
    write_rows(file, [{"id": "a", "input": "q", "output": "theirs"}])
    result = run("store", "import", "s", str(file))
    assert "conflict: a has changed in" in result.stderr and "1 in conflict" in result.stderr
    assert json.loads(run("store", "show", "s", "a").stdout)["output"] == "mine"


def test_stats_say_what_the_volume_suggests(run: Run) -> None:
    run("build", "tickets/route", "x")
    result = run("store", "stats", "tickets")
    assert "approved\t11" in result.stdout and "card_lost\t4" in result.stdout
    assert "too few to ask whether to train" in result.stderr


def test_arguments_that_are_not_text_are_refused(run: Run) -> None:
    for arguments in (
        ["build", "tickets/route", "caf\udcff"],
        ["search", "tickets", "\udcff"],
        ["store", "show", "tickets", "\udcff"],
        ["store", "create", "x", "--description", "\udcff"],
    ):
        refused(run(*arguments), "is not UTF-8 text", code=2)


def test_json_nested_without_end_is_one_clear_line(run: Run, root: Path) -> None:
    (root / "templates" / "chat.j2").write_text("{% turns history %}")
    (root / "deep.json").write_text("[" * 100_000)
    refused(run("build", "chat", "--history", str(root / "deep.json")), "that can't be read")
    (root / "templates" / "deep.j2").write_text("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}")
    refused(run("build", "deep"), "deep.j2: an expression is nested too deeply")


def test_json_and_format_are_not_mixed(run: Run) -> None:
    result = run("build", "tickets/route", "x", "--json", "--format", "openai")
    refused(result, "give --format or --json, not both", code=2)


def test_nothing_on_a_pipe_is_no_query(run: Run) -> None:
    refused(run("build", "tickets/route", stdin=""), "input 'query' is missing")


def test_a_damaged_database_is_one_clear_line(run: Run, root: Path) -> None:
    run("build", "tickets/route", "x")
    database = root / ".promptlib" / "promptlib.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        file.truncate(9000)
    for arguments in (["store", "stats", "tickets"], ["build", "tickets/route", "x"]):
        refused(run(*arguments), "promptlib.db")
    result = run("doctor")
    assert result.exit_code == 1 and "put a backup in its place" in result.stdout


# -- as a process --------------------------------------------------------------------------------


def command(root: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", "-C", str(root), *arguments]


def test_a_closed_pipe_is_no_error_of_ours(root: Path) -> None:
    line = " ".join(command(root, "store", "export", "tickets")) + " | head -1"
    done = subprocess.run(line, shell=True, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr


def test_output_that_cannot_be_written_is_one_clear_line(root: Path) -> None:
    for arguments in (
        ["store", "list"],
        ["build", "tickets/route", "x"],
        ["store", "export", "tickets"],
    ):
        line = " ".join(command(root, *arguments))
        for redirect, reason in ((">/dev/full", "No space left"), (">&-", "stdout is closed")):
            done = subprocess.run(
                f"{line} {redirect}", shell=True, cwd=CHECKOUT, capture_output=True, text=True
            )
            assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
            assert reason in done.stderr


def test_a_closed_stdin_is_an_empty_one(root: Path) -> None:
    line = " ".join(command(root, "build", "tickets/route")) + " <&-"
    done = subprocess.run(line, shell=True, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 1 and "input 'query' is missing" in done.stderr


def test_an_interrupted_import_says_so_and_the_next_one_works(root: Path) -> None:
    rows = [{"input": f"row {n}", "output": "x"} for n in range(20_000)]
    file = write_rows(root / "big.jsonl", rows)
    arguments = command(root, "store", "import", "big", str(file))
    with subprocess.Popen(arguments, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) as process:
        database = root / ".promptlib" / "promptlib.db"
        while not database.exists():
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        talk = process.stderr.read()
    assert process.returncode == 1 and "Traceback" not in talk and "Aborted!" in talk
    listed = subprocess.check_output(command(root, "store", "list", "--json"), cwd=CHECKOUT)
    assert "big" not in [row["name"] for row in json.loads(listed)]  # as if it had never begun
    done = subprocess.run(arguments, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0 and "20,000 added" in done.stderr


def test_on_a_terminal_tables_are_drawn_and_the_hint_is_shown(root: Path) -> None:
    """In a real pseudo-terminal, as a person sees it."""
    import pty

    def screen(*arguments: str, columns: int = 100) -> str:
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(CHECKOUT)
            os.environ.update(TERM="xterm", COLUMNS=str(columns))
            os.execv(sys.executable, command(root, *arguments))
        seen = b""
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        os.close(terminal)
        assert os.waitpid(pid, 0)[1] == 0
        return seen.decode()

    seen = screen("build", "tickets/route", "I lost my card", "--explain")
    assert "importing tickets" in seen and "11/11" in seen  # the progress bar
    assert "hint: 11 distinct examples" in seen and "similarity" in seen and "\t" not in seen
    run = ["-C", str(root), "store", "show", "tickets"]
    ids = [row.split("\t")[0] for row in CliRunner().invoke(cli, run).stdout.splitlines()[1:]]
    seen = screen("store", "show", "tickets", columns=40)
    assert "─" in seen and "…" in seen and all(id in seen for id in ids)


# -- files of every kind -------------------------------------------------------------------------


def test_import_of_a_table_with_options(run: Run, root: Path) -> None:
    table = root / "export.csv"
    table.write_text("text;category;team\nlost it;card;a\nno pin;pin;b\nold one;card;b\nugly\n")
    options = ["--map", "input=text", "--map", "output=category"]
    refused(
        run("store", "import", "new", str(table), *options), "export.csv:5: 1 cell,", "--skip-bad"
    )
    refused(
        run("store", "import", "new", str(table), *options, "--mirror", "--limit", "1"),
        "mirror needs the whole file: it can't go with limit",
    )
    options += ["--skip-bad", "--where", "team=b", "--limit", "5"]
    result = run("store", "import", "new", str(table), *options, "--dry-run")
    assert result.exit_code == 0 and "what\trows\tthe first of them\nadded\t2\t" in result.stdout
    assert (
        "a dry run: nothing was changed" in result.stderr
        and not (root / "export.bad.jsonl").exists()
    )
    refused(run("store", "stats", "new"), "no store 'new'")
    result = run("store", "import", "new", str(table), *options)
    assert "new: 2 added (revision 1)" in result.stderr
    assert "export.csv:5: left out: 1 cell," in result.stderr
    assert json.loads((root / "export.bad.jsonl").read_text())["line"] == 5
    data = run("store", "import", "new", str(table), *options, "--json").stdout
    assert json.loads(data)["unchanged"] == 2


def test_import_from_stdin_and_export_to_every_format(run: Run, root: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    assert "in: 11 added" in run("store", "import", "in", "-", stdin=lines).stderr
    first = run("store", "export", "in").stdout
    for name in ("out.csv", "out.tsv", "out.jsonl.gz", "out.parquet"):
        assert (
            f"wrote 11 examples to {root / name}"
            in run("store", "export", "in", str(root / name)).stderr
        )
        store = name.replace(".", "-")
        assert "11 added" in run("store", "import", store, str(root / name)).stderr
        assert run("store", "export", store).stdout == first
    part = run("store", "export", "in", "--where", "label=pin_forgotten", "--format", "csv").stdout
    assert (
        part.startswith("id,input,output,label,status,metadata")
        and part.count("pin_forgotten") == 4
    )
    refused(run("store", "export", "in", "--where", "lable=x"), "no row has a field 'lable'")


def test_update_round_trip(run: Run, root: Path) -> None:
    table = root / "tickets.csv"
    run("store", "export", "tickets", str(table))
    table.write_text(
        table.read_text().replace("top up failed,top_up_failed", "top up failed,declined")
    )
    assert "1 updated, 10 unchanged (revision 2)" in run(
        "store", "import", "tickets", str(table), "--update"
    ).stderr  # fmt: skip
    table.write_text("id,output\nnope,x\n")
    refused(run("store", "import", "tickets", str(table), "--update"), "no example 'nope'")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--map", "input"], "is not KEY=NAME"),
        (["--bad-rows", "x"], "--bad-rows goes with --skip-bad"),
        (["--format", "xml"], "'xml' is not one of"),
    ],
)
def test_import_misuse(run: Run, root: Path, arguments: list[str], reason: str) -> None:
    file = write_rows(root / "rows.jsonl", ROWS)
    result = run("store", "import", "new", str(file), *arguments)
    assert result.exit_code == 2 and reason in result.stderr


def test_build_with_filters_tools_and_a_tokenizer(run: Run, root: Path) -> None:
    tools = root / "tools.json"
    tools.write_text('[{"type": "function", "function": {"name": "find"}}]')
    build = ("build", "tickets/route", "I lost my card")
    body = json.loads(run(*build, "--tools", str(tools), "--format", "openai").stdout)
    assert body["tools"][0]["function"]["name"] == "find"
    data = json.loads(run(*build, "--where", "label!=card_lost", "--json").stdout)
    assert data["examples"] and all(e["label"] != "card_lost" for e in data["examples"])
    data = json.loads(run(*build, "--min-score", "0.99", "--exclude-self", "--json").stdout)
    assert data["examples"] == [] and data["manifest"]["exclude_self"] is True
    folder = make_tokenizer(root / "tok")
    data = json.loads(run(*build, "--encoding", str(folder), "--json").stdout)
    assert data["encoding"].startswith("tok@")
    refused(run(*build, "--encoding", str(root / "no.json")), "no tokenizer at")
    refused(run(*build, "--where", "team=x"), "no row has a field 'team'; ")
    counted = run("tokens", "--encoding", str(folder), stdin="hello").stdout
    assert int(counted) > 1


def test_rows_are_shown_by_conditions(run: Run) -> None:
    run("store", "add", "tickets", "--input", "not sure yet", "--draft")
    shown = run("store", "show", "tickets", "--where", "status=draft").stdout
    assert "not sure yet" in shown and shown.count("\n") == 2
    assert run("store", "show", "tickets", "--label", "pin_forgotten").stdout.count("pin_forg") == 4
    refused(run("store", "show", "tickets", "--where", "lable=x"), "no row has a field 'lable'")


def test_bundle(run: Run, root: Path) -> None:
    expected = run("build", "tickets/route", "I lost my card").stdout
    result = run("bundle", str(root / "served"))
    assert "1 template, tickets (11 rows)" in result.stderr
    refused(run("bundle", str(root / "served")), "is there already; --replace makes it anew")
    assert json.loads(run("bundle", str(root / "served"), "--replace", "--json").stdout)["stores"]
    served = CliRunner().invoke(
        cli, ["-C", str(root / "served"), "build", "tickets/route", "I lost my card"]
    )
    assert served.stdout == expected
    (root / "served" / "promptlib.db").write_bytes(b"x")
    broken = CliRunner().invoke(cli, ["-C", str(root / "served"), "search", "tickets", "x"])
    assert broken.exit_code == 1 and "promptlib.db changed; make the bundle again" in broken.stderr


def test_options_do_what_they_say_and_touch_nothing_else(
    run: Run, root: Path, tmp_path: Path
) -> None:
    made = CliRunner().invoke(cli, ["-C", str(tmp_path / "new"), "init"])
    assert made.exit_code == 0 and (tmp_path / "new" / "promptlib.toml").exists()
    table = root / "rows.csv"
    table.write_text("text,label\na,b\n")
    twice = run("store", "import", "n", str(table), "--map", "input=text", "--map", "input=label")
    assert twice.exit_code == 2 and "one KEY twice" in twice.stderr
    refused(run("store", "export", "tickets", str(root / "x.xlsx")), "no format .xlsx")
    (root / "rows.bad.jsonl").write_text("precious")
    table.write_text("input,output\na,b\nc\n")
    result = run("store", "import", "n", str(table), "--skip-bad")
    assert "bad rows left out: 1; they are in " in result.stderr
    assert (root / "rows.bad.jsonl").read_text() == "precious"
    assert (root / "rows.bad-2.jsonl").exists()
    explained = run("build", "tickets/route", "I lost my card", "--explain").stderr
    assert "\t".join(COLUMNS) in explained


def test_help_that_cannot_be_written_is_one_line() -> None:
    done = subprocess.run(
        f"{sys.executable} -m cli --help > /dev/full", shell=True, cwd=CHECKOUT,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_pipe_is_told_how_fast_and_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli import output

    clock = iter([0.0, 1.0, 51.0, 60.0])
    monkeypatch.setattr(output, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    report, close = output._progress()
    for done in (100, 600, 1_000):
        report("importing bank", done, 1_000)
    close()
    assert capsys.readouterr().err.splitlines() == [
        "importing bank: 600 of 1,000 rows, 10 a second, 40 s left",
        "importing bank: 1,000 rows",
    ]
