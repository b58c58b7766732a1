"""Publishing: versions that never change, labels that move, and a rollback."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import promptlib
from cli.main import cli
from promptlib.bundle import make_bundle
from promptlib.errors import ReadOnlyError, StoreError, TemplateError, TemplateNotFoundError
from promptlib.project import Project
from promptlib.store.database import Database
from promptlib.templating.naming import Reference, parse_reference
from promptlib.templating.published import Draft
from promptlib.templating.registry import TRUST, TemplateRegistry
from promptlib.templating.versions import TemplateVersions

ROUTE = "tickets/route"


def edit(project: Project, text: str, name: str = ROUTE) -> None:
    path = project.registry.path(name)
    path.write_text(path.read_text().replace("Answer with", f"{text} Answer with"))


def run(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(project.root), "template", *arguments])


def test_a_version_is_a_snapshot_of_all_that_it_includes(
    project: Project, write_template: Callable[..., str]
) -> None:
    write_template("{{ greeting }}, {% include '_rules' %}", "letter")
    write_template("be kind", "_rules")
    first = project.registry.publish("letter", "first", by="Ada")
    assert (first.number, first.is_new, first.by, first.message) == (1, True, "Ada", "first")
    assert list(first.files) == ["letter", "_rules"]
    write_template("be brief", "_rules")
    greeting = {"greeting": "Hello"}
    assert project.registry.get("letter").render(greeting).text == "Hello, be brief"
    for name in ("letter@1", "letter@latest"):
        assert project.registry.get(name).render(greeting).text == "Hello, be kind"
    second = project.registry.publish("letter", "second")
    assert second.number == 2 and second.hash != first.hash
    (project.registry.folder / "_rules.j2").unlink()
    (project.registry.folder / "letter.j2").unlink()
    assert project.registry.get("letter@1").render(greeting).text == "Hello, be kind"
    assert project.registry.source("letter@2") == "{{ greeting }}, {% include '_rules' %}"


def test_identical_content_makes_no_new_version(project: Project) -> None:
    first = project.registry.publish(ROUTE, "first")
    again = project.registry.publish(ROUTE, "again", label="production")
    assert (again.number, again.is_new, again.message) == (1, False, "first")
    assert again == first and project.registry.get(f"{ROUTE}@production").version == 1
    path = project.registry.path(ROUTE)
    before = path.read_text()
    edit(project, "Please.")
    assert project.registry.publish(ROUTE).number == 2
    path.write_text(before)
    back = project.registry.publish(ROUTE, label="production")
    assert (back.number, back.is_new) == (1, False)
    assert project.registry.versions.labels(ROUTE) == {"production": 1, "latest": 2}
    assert json.loads(run(project, "list", "--json").stdout)[0]["state"] == "as version 1"
    assert project.registry.publish(f"./{ROUTE}.j2", label="staging").name == ROUTE
    assert project.registry.get("tickets//route.j2@staging").version == 1


def test_labels_move_and_go_back(project: Project) -> None:
    registry = project.registry
    for number in (1, 2, 3):
        registry.publish(ROUTE, str(number), label="production" if number < 3 else None)
        edit(project, str(number))
    assert registry.versions.labels(ROUTE) == {"production": 2, "latest": 3}
    moved = registry.label(f"{ROUTE}@latest", "production", by="Ada")
    assert (moved.number, moved.before, moved.reason, moved.by) == (3, 2, "label", "Ada")
    assert [registry.rollback(ROUTE).number for _ in range(2)] == [2, 1]
    with pytest.raises(TemplateError, match="nothing to go back to"):
        registry.rollback(ROUTE)
    registry.label(f"{ROUTE}@3", "production")
    assert registry.rollback(ROUTE).number == 1
    history = registry.history(ROUTE)
    assert [version.message for version in history.versions] == ["1", "2", "3"]
    assert [(m.reason, m.before, m.number) for m in history.moves] == [
        ("publish", None, 1), ("publish", 1, 2), ("label", 2, 3), ("rollback", 3, 2),
        ("rollback", 2, 1), ("label", 1, 3), ("rollback", 3, 1),
    ]  # fmt: skip


@given(st.lists(st.sampled_from(["publish", 1, 2, 3, "rollback"]), max_size=12))
def test_a_rollback_undoes_the_last_move_that_stands(moves: list[str | int]) -> None:
    """Against a plain stack."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        versions = TemplateVersions(Database("sqlite:///v.db", root=folder))
        for number in (1, 2, 3):
            versions.add([Draft("t", f"{number}", {"t": f"{number}"})])
        stack: list[int] = []
        newest = 3
        for move in moves:
            if move == "rollback":
                if len(stack) > 1:
                    stack.pop()
                    assert versions.rollback("t", "p").number == stack[-1]
                else:
                    with pytest.raises(TemplateError):
                        versions.rollback("t", "p")
                continue
            if move == "publish":
                newest += 1
                draft = Draft("t", f"{newest}", {"t": "x"})
                number = versions.add([draft], label="p")[0].number
            else:
                number = versions.move(Reference("t", int(move)), "p").number
            if not stack or stack[-1] != number:
                stack.append(number)
            assert versions.labels("t")["p"] == number
        versions.database.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{ROUTE}@2", "there is only version 1"),
        (f"{ROUTE}@0", "there is only version 1"),
        (f"{ROUTE}@staging", r"there are: latest \(version 1\), production \(version 1\)"),
        ("tickets/other@1", "no template 'tickets/other'"),
        (f"{ROUTE}@99999999999999999999", "isn't allowed"),
        ("\udcff", "lone surrogate"),
        ("tickets/rout", "did you mean 'tickets/route'"),
        (f"{ROUTE}@1@production", r"not for both.*; there are: latest \(version 1\), production"),
        (f"{ROUTE}@pro duction", "isn't allowed"),
        (f"{ROUTE}@", "isn't allowed"),
    ],
)
def test_what_does_not_exist_is_an_error_that_lists_what_does(
    project: Project, name: str, message: str
) -> None:
    project.registry.publish(ROUTE, label="production")
    with pytest.raises(TemplateError, match=message):
        project.registry.get(name)


def test_version_and_label_may_stand_beside_the_name(project: Project) -> None:
    registry = project.registry
    registry.publish(ROUTE, label="production")
    assert registry.get(ROUTE, version=1) is registry.get(ROUTE, label="production")
    with pytest.raises(TemplateError, match="not for both"):
        registry.get(ROUTE, version=1, label="production")
    with pytest.raises(TemplateError, match="not for both"):
        registry.get(f"{ROUTE}@1", version=1)


@pytest.mark.parametrize("label", ["a b", "1", "-a", "", "é", "a/b", "a@b", "x" * 101, "latest"])
def test_labels_that_are_not_allowed(project: Project, label: str) -> None:
    project.registry.publish(ROUTE)
    with pytest.raises(TemplateError, match=r"isn't allowed|moves by itself"):
        project.registry.label(f"{ROUTE}@1", label)
    with pytest.raises(TemplateError, match=r"isn't allowed|moves by itself"):
        project.registry.publish(ROUTE, label=label)
    assert project.registry.versions.moves(ROUTE) == []


@given(st.text(max_size=12), st.integers(0, 99) | st.none())
def test_references_are_read_or_refused(name: str, version: int | None) -> None:
    text = name if version is None else f"{name}@{version}"
    try:
        reference = parse_reference(text)
    except TemplateError:
        assert "@" in name
        return
    assert parse_reference(str(reference)) == reference
    assert reference.number == version or "@" in name


def test_a_bare_name_means_the_label_of_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with promptlib.open(root) as project:
        project.registry.publish(ROUTE, label="production")
        edit(project, "Unpublished.")
    monkeypatch.setenv("PROMPTLIB_LABEL", "production")
    with promptlib.open(root) as project:
        assert project.registry.list() == [ROUTE]
        prompt = project.build(ROUTE, "I lost my card")
        assert "Unpublished" not in prompt.text and prompt.settings["template"]["version"] == 1
        assert project.template_of("tickets") == ROUTE
        project.warm()
    monkeypatch.setenv("PROMPTLIB_LABEL", "staging")
    with (
        promptlib.open(root) as project,
        pytest.raises(TemplateNotFoundError, match="no label tickets/route@staging"),
    ):
        project.build(ROUTE, "I lost my card")
    monkeypatch.setenv("PROMPTLIB_LABEL", "not a label")
    with pytest.raises(TemplateError, match="isn't allowed"):
        promptlib.open(root)


def test_a_moved_label_is_seen_by_a_running_process_within_a_second(root: Path) -> None:
    with promptlib.open(root) as serving, promptlib.open(root) as other:
        other.registry.publish(ROUTE, label="production")
        assert serving.registry.get(f"{ROUTE}@production").version == 1
        edit(other, "New.")
        other.registry.publish(ROUTE, label="production")
        moved = time.monotonic()
        while serving.registry.get(f"{ROUTE}@production").version == 1:
            assert time.monotonic() - moved < 1
            time.sleep(0.02)


def test_a_label_is_served_on_when_the_database_is_away(
    project: Project, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.registry.publish(ROUTE, label="production")
    before = project.registry.get(f"{ROUTE}@production")
    project.registry._resolved = {
        reference: (0.0, template) for reference, (_, template) in
        project.registry._resolved.items()
    }  # fmt: skip

    def fail(reference: Reference) -> Any:
        raise StoreError("the database is away")

    monkeypatch.setattr(project.registry.versions, "identity", fail)
    assert project.registry.get(f"{ROUTE}@production") is before
    assert "the database is away" in caplog.text
    with pytest.raises(StoreError):
        project.registry.get(f"{ROUTE}@latest")


def test_a_label_is_served_on_when_the_file_is_away(root: Path) -> None:
    with promptlib.open(root) as project:
        project.registry.publish(ROUTE, label="production")
        before = project.registry.get(f"{ROUTE}@production")
        project.database.close()
        away = project.database.path.with_suffix(".away")
        project.database.path.rename(away)
        time.sleep(TRUST + 0.1)
        assert project.registry.get(f"{ROUTE}@production") is before
        away.rename(project.database.path)
        with pytest.raises(TemplateNotFoundError, match="no label"):
            project.registry.get(f"{ROUTE}@staging")


def test_what_is_written_is_found_at_its_place(root: Path) -> None:
    with promptlib.open(root) as project:
        project.registry.publish(ROUTE)
        away = project.database.path.with_suffix(".away")
        project.database.path.rename(away)
        with pytest.raises(StoreError, match="is gone"):
            project.registry.label(f"{ROUTE}@1", "production")
        shutil.copy(away, project.database.path)
        project.registry.label(f"{ROUTE}@1", "production")
    with promptlib.open(root) as other:
        assert other.registry.versions.labels(ROUTE)["production"] == 1


@pytest.mark.parametrize(
    ("column", "value"), [("files", "{}"), ("files", "not json"), ("static", "[{}]")]
)
def test_a_damaged_version_is_named(project: Project, column: str, value: str) -> None:
    from sqlalchemy import text

    project.registry.publish(ROUTE)
    with project.database.write() as connection:
        connection.execute(
            text(f"UPDATE template_versions SET {column} = :value"), {"value": value}
        )
    for arguments in (["show", f"{ROUTE}@1"], ["history", ROUTE], ["diff", f"{ROUTE}@1"]):
        result = run(project, *arguments)
        assert result.exit_code == 1 and "damaged" in result.stderr, result.output


def test_all_are_published_or_none(project: Project, write_template: Callable[..., str]) -> None:
    write_template("{{ query }}{{ oops }}", "broken")
    write_template("---\ninputs: {}\nbudget: {tokens: 9}\n---\n{{ oops }}", "zebra")
    result = run(project, "publish", "--all", "--label", "production")
    assert result.exit_code == 1 and "zebra failed the check" in result.stderr
    assert project.registry.versions.newest() == {}


def test_static_examples_are_part_of_a_version(
    project: Project, write_template: Callable[..., str]
) -> None:
    body = "{% for e in static_examples %}{{ e.input }}{% endfor %}"
    head = "---\nexamples: {store: tickets, static: {k: 2}}\nbudget: {tokens: 200}\n---\n"
    name = write_template(head + body)
    first = project.registry.publish(name)
    project.store("tickets").delete(*(example.id for example in first.static))
    second = project.registry.publish(name, refresh=True)
    assert second.number == 2 and second.hash == first.hash and second.digest != first.digest
    shown = project.registry.diff(f"{name}@1", f"{name}@2")
    assert "static examples" in shown and str(first.static[0].input) in shown
    assert project.registry.diff(f"{name}@2") == ""


def test_another_database_in_its_place_is_noticed(root: Path) -> None:
    with promptlib.open(root) as project:
        project.registry.publish(ROUTE, label="production")
        project.database.copy_to(root / "backup.db")
        edit(project, "Later.")
        project.registry.publish(ROUTE, "later")
        assert "Later." in project.registry.get(f"{ROUTE}@2").files[ROUTE]
        project.database.close()
        shutil.move(root / "backup.db", project.database.path)
        for rest in ("-wal", "-shm"):
            project.database.path.with_name(project.database.path.name + rest).unlink(True)
        edit(project, "Otherwise.")
        project.registry.publish(ROUTE, "otherwise")
        assert "Otherwise." in project.registry.get(f"{ROUTE}@2").files[ROUTE]


def test_two_publishers_at_once_make_two_versions(root: Path) -> None:
    """Each publishes its own content; none is lost."""
    with promptlib.open(root) as project:
        project.registry.publish(ROUTE, "first")
        database = project.database
        errors: list[Exception] = []

        def publish(number: int) -> None:
            try:
                versions = TemplateVersions(database)
                draft = Draft(ROUTE, f"hash {number}", {ROUTE: f"body {number}"})
                versions.add([draft], label="production")
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = project.registry.versions.of(ROUTE)
        assert not errors and [version.number for version in found] == list(range(1, 10))
        assert {version.hash for version in found[1:]} == {f"hash {n}" for n in range(8)}
        pointed = project.registry.versions.labels(ROUTE)["production"]
        assert pointed == project.registry.versions.moves(ROUTE)[-1].number


def _publish_once(root: Path, number: int) -> None:
    with promptlib.open(root) as project:
        edit(project, str(number), name=f"tickets/copy-{number}")
        source = project.registry.source(f"tickets/copy-{number}")
        draft = Draft(ROUTE, f"hash {number}", {ROUTE: source})
        project.registry.versions.add([draft], label="production")


def test_publishing_processes_do_not_hurt_each_other(root: Path) -> None:
    for number in range(4):
        folder = root / "templates" / "tickets"
        shutil.copy(folder / "route.j2", folder / f"copy-{number}.j2")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_publish_once, args=(root, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with promptlib.open(root) as project:
        found = project.registry.versions.of(ROUTE)
        assert [version.number for version in found] == [1, 2, 3, 4]
        assert len({version.files[ROUTE] for version in found}) == 4


def test_a_template_that_fails_its_check_is_published_by_force_alone(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template("---\ninputs: {query: {}}\nbudget: {tokens: 50}\n---\n{{ qeury }}")
    with pytest.raises(TemplateError, match=r"'qeury' is no input.*\n.*test failed the check"):
        project.registry.publish(name)
    assert project.registry.versions.of(name) == []
    forced = project.registry.publish(name, force=True)
    assert forced.number == 1 and "'qeury' is no input" in forced.problems[0]
    write_template("{{ broken")
    with pytest.raises(TemplateError):
        project.registry.publish(name, force=True)  # what doesn't compile can't be a version
    result = run(project, "history", name)
    assert "forced: 1 problem" in result.stdout


def test_a_bundle_carries_versions_and_labels(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.registry.publish(ROUTE, "first", label="production")
    edit(project, "Unpublished.")
    make_bundle(project, tmp_path / "served")
    with promptlib.open(tmp_path / "served") as served:
        assert "Unpublished" in served.build(ROUTE, "I lost my card").text
        prompt = served.build(f"{ROUTE}@production", "I lost my card")
        assert "Unpublished" not in prompt.text
        assert served.replay(prompt.manifest()).text == prompt.text
        with pytest.raises(ReadOnlyError):
            served.registry.publish(ROUTE)
    monkeypatch.setenv("PROMPTLIB_LABEL", "production")
    with promptlib.open(tmp_path / "served") as served:
        assert served.build(ROUTE, "I lost my card").messages == prompt.messages


def test_a_registry_alone_has_working_files(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("hi")
    registry = TemplateRegistry(tmp_path)
    assert registry.get("a").render({}).text == "hi"
    with pytest.raises(TemplateError, match="no database"):
        registry.get("a@1")


def test_nothing_is_written_by_looking(root: Path) -> None:
    with promptlib.open(root) as project:
        assert project.registry.versions.newest() == {} and project.registry.list() == [ROUTE]
        with pytest.raises(TemplateNotFoundError, match="isn't published"):
            project.registry.history(ROUTE)
        assert not project.database.exists


def test_the_commands(project: Project) -> None:
    assert run(project, "publish", ROUTE, "-m", "first", "--label", "production").exit_code == 0
    edit(project, "More.")
    listed = json.loads(run(project, "list", "--json").stdout)
    assert listed[0]["state"] == "edited since" and listed[0]["labels"] == {"production": 1}
    shown = run(project, "diff", f"{ROUTE}@production")
    assert '+{% message "system" %}More. Answer' in shown.stdout and shown.exit_code == 0
    again = json.loads(run(project, "publish", "--all", "--json").stdout)
    assert [(each["version"], each["new"]) for each in again] == [(2, True)]
    assert run(project, "diff", f"{ROUTE}@2").stderr == "they are the same\n"
    assert run(project, "label", f"{ROUTE}@2", "production").stdout == f"{ROUTE}@2\n"
    assert run(project, "rollback", ROUTE).stdout == f"{ROUTE}@1\n"
    assert run(project, "show", f"{ROUTE}@2").stdout == project.registry.source(ROUTE)
    history = json.loads(run(project, "history", ROUTE, "--json").stdout)
    assert [move["reason"] for move in history["moves"]] == ["publish", "label", "rollback"]
    table = run(project, "history", ROUTE).stdout.splitlines()
    assert [line.split("\t")[2] for line in table[1:]] == [
        "version 1", "production -> 1", "version 2", "production -> 2", "production -> 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["publish"], 2, "--all"),
        (["publish", ROUTE, "--all"], 2, "--all"),
        (["publish", "nothing"], 1, "no template 'nothing'"),
        (["publish", f"{ROUTE}@1"], 1, "leave out @"),
        (["publish", ROUTE, "--label", "a b"], 1, "isn't allowed"),
        (["label", ROUTE, "production"], 1, "which version"),
        (["label", f"{ROUTE}@7", "production"], 1, "isn't published"),
        (["rollback", ROUTE], 1, "isn't published"),
        (["history", ROUTE], 1, "isn't published"),
        (["diff", f"{ROUTE}@1"], 1, "isn't published"),
        (["show", f"{ROUTE}@x"], 1, "isn't published"),
    ],
)
def test_misuse_is_one_clear_line(
    project: Project, arguments: list[str], code: int, said: str
) -> None:
    result = run(project, *arguments)
    assert result.exit_code == code and said in result.stderr
    assert "Traceback" not in result.stderr
