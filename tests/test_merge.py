"""Identity and re-import: the rule that no curator's work is lost."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from promptlib.example import Example
from promptlib.store.merge import merge
from promptlib.store.rows import StoredRow, row_of
from promptlib.store.settings import StoreSettings

SETTINGS = StoreSettings(label="output")


def imported(*examples: Example) -> dict[str, StoredRow]:
    done = merge(examples, {}, SETTINGS)
    return {after.id: after for _, after in done.changes}


def a(output: str, **parts: object) -> Example:
    return Example("question", output, id="a", **parts)  # type: ignore[arg-type]


def edited(row: StoredRow, example: Example) -> StoredRow:
    return replace(row_of(example, SETTINGS, source_hash=row.source_hash), id=row.id)


def test_new_rows_are_added_with_the_label_in_effect() -> None:
    rows = imported(a("x"))
    assert rows["a"].label == "x" and rows["a"].source_hash == a("x").content_hash


def test_importing_twice_changes_nothing() -> None:
    again = merge([a("x")], imported(a("x")), SETTINGS)
    assert again.changes == () and again.unchanged == 1


def test_a_row_that_nobody_touched_follows_its_source() -> None:
    done = merge([a("y")], imported(a("x")), SETTINGS)
    assert done.updated == 1 and done.changes[0][1].label == "y"


def test_an_unchanged_source_leaves_edits_rejections_and_deletions_alone() -> None:
    row = imported(a("x"))["a"]
    for here in (
        edited(row, a("edited")),
        edited(row, a("x", status="rejected")),
        replace(row, deleted=True),
    ):
        done = merge([a("x")], {"a": here}, SETTINGS)
        assert done.changes == () and done.kept == 1


def test_restore_brings_the_source_back() -> None:
    row = imported(a("x"))["a"]
    for here in (edited(row, a("edited")), replace(row, deleted=True)):
        done = merge([a("x")], {"a": here}, SETTINGS, restore=True)
        assert done.restored == 1
        assert done.changes[0][1].example == a("x") and not done.changes[0][1].deleted


def test_a_change_on_both_sides_is_a_conflict() -> None:
    row = imported(a("x"))["a"]
    for here in (edited(row, a("edited")), replace(row, deleted=True)):
        done = merge([a("z")], {"a": here}, SETTINGS)
        assert done.changes == () and done.conflicts == ("a",)


def test_the_same_change_on_both_sides_is_none() -> None:
    here = edited(imported(a("x"))["a"], a("z"))
    done = merge([a("z")], {"a": here}, SETTINGS)
    assert done.conflicts == () and done.changes[0][1].source_hash == a("z").source_hash


def test_a_source_can_change_a_status_alone() -> None:
    done = merge([a("x")], imported(a("x", status="draft")), SETTINGS)
    assert done.updated == 1 and done.changes[0][1].status == "approved"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=20))
def test_any_file_imported_twice_changes_nothing(pairs: list[tuple[str, str]]) -> None:
    file = list({e.id: e for e in (Example(input, output) for input, output in pairs)}.values())
    rows = imported(*file)
    assert len(rows) == len(file)
    again = merge(file, rows, SETTINGS)
    assert again.changes == () and again.unchanged == len(file)


@given(st.lists(st.sampled_from(["source", "edit", "reject", "delete", "import"]), max_size=12))
def test_no_sequence_of_writes_loses_a_curators_work(steps: list[str]) -> None:
    """A curator's last word stands, whatever the source does."""
    source, rows = a("0"), imported(a("0"))
    word: StoredRow | None = None
    for number, step in enumerate(steps, start=1):
        row = rows["a"]
        if step == "source":
            source = a(str(number))
        elif step == "import":
            done = merge([source], rows, SETTINGS)
            rows.update((after.id, after) for _, after in done.changes)
        elif step == "edit":
            rows["a"] = word = edited(row, a(f"mine {number}"))
        elif step == "reject":
            rows["a"] = word = edited(row, replace(row.example, status="rejected"))
        else:
            rows["a"] = word = replace(row, deleted=True)
        if word is not None:
            assert rows["a"].content == word.content and rows["a"].deleted == word.deleted
