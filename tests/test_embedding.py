"""Embedders, with the real model where the model matters."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import load

from promptlib.embedding import compile as compile_module
from promptlib.embedding.ahead import PART, embedded_ahead
from promptlib.embedding.cache import compiled
from promptlib.embedding.compile import compile_model
from promptlib.embedding.crowd import CALM, Crowd
from promptlib.embedding.embedder import Embedder, HashingEmbedder, Vectors, embed_and_cover
from promptlib.embedding.loading import LazyEmbedder, load_embedder
from promptlib.embedding.onnx import FEW, PADDING, OnnxEmbedder, _batches
from promptlib.embedding.reference import TorchEmbedder
from promptlib.embedding.source import DEFAULT_MODEL, ModelSource, find_model
from promptlib.embedding.threads import lanes_here, measure_threads, threads_for
from promptlib.errors import EmbedderError, ModelNotFoundError
from tests.conftest import CHECKOUT

TEXTS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=80), max_size=70)


@pytest.fixture(scope="module")
def source() -> ModelSource:
    found = find_model(DEFAULT_MODEL)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def onnx() -> OnnxEmbedder:
    embedder = load_embedder(DEFAULT_MODEL)
    assert isinstance(embedder, OnnxEmbedder)
    return embedder


@pytest.fixture(scope="module")
def reference(source: ModelSource) -> TorchEmbedder:
    return TorchEmbedder(source.folder)


@given(TEXTS)
def test_hashing_gives_unit_rows(texts: list[str]) -> None:
    vectors = HashingEmbedder(32).embed(texts)
    assert vectors.shape == (len(texts), 32) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_hashing_knows_words_and_nothing_else() -> None:
    embed = HashingEmbedder().embed
    near, same, far = embed(["lost my card"]), embed(["Card, my LOST!"]), embed(["zebra crossing"])
    assert np.allclose(near, same) and (near @ far.T).item() < 0.5
    assert isinstance(HashingEmbedder(), Embedder)


@settings(max_examples=15)
@given(TEXTS)
def test_a_vector_never_depends_on_its_batch(onnx: OnnxEmbedder, texts: list[str]) -> None:
    together = onnx.embed(texts)
    assert together.shape == (len(texts), 384)
    for text, vector in zip(texts[:10], together[:10], strict=True):
        assert np.abs(onnx.embed([text])[0] - vector).max() < 1e-5


def test_compiled_and_original_give_the_same_vectors(
    onnx: OnnxEmbedder, reference: TorchEmbedder
) -> None:
    rows = (CHECKOUT / "example_stores/banking77/examples.jsonl").read_text().splitlines()[::100]
    texts = [json.loads(row)["input"] for row in rows] + ["x" * 3000, "word " * 1000, "日本語"]
    difference = np.abs(onnx.embed(texts) - reference.embed(texts)).max()
    assert difference < compile_module.TOLERANCE
    assert onnx.fingerprint == reference.fingerprint and onnx.max_tokens == reference.max_tokens


def test_the_fingerprint_is_of_the_content_not_of_the_place(
    source: ModelSource, reference: TorchEmbedder, tmp_path: Path
) -> None:
    copied = shutil.copytree(source.folder, tmp_path / "elsewhere")
    config = json.loads((copied / "config.json").read_text())
    config["_name_or_path"], config["transformers_version"] = "another/name", "0.0"
    (copied / "config.json").write_text(json.dumps(config))
    assert TorchEmbedder(copied).fingerprint == reference.fingerprint
    settings_file = copied / "sentence_bert_config.json"
    facts = json.loads(settings_file.read_text())
    settings_file.write_text(json.dumps(facts | {"max_seq_length": 64}))
    assert TorchEmbedder(copied).fingerprint != reference.fingerprint


def test_prompts_of_asymmetric_models_are_applied(source: ModelSource, tmp_path: Path) -> None:
    copied = shutil.copytree(source.folder, tmp_path / "asymmetric")
    path = copied / "config_sentence_transformers.json"
    facts = json.loads(path.read_text())
    facts["prompts"] = {"query": "query: ", "document": "passage: "}
    path.write_text(json.dumps(facts))
    embedder = load_embedder(str(copied), tmp_path / "cache")
    assert isinstance(embedder, OnnxEmbedder) and embedder.prompts["query"] == "query: "
    plain = load_embedder(DEFAULT_MODEL)
    query = embedder.embed(["card"], kind="query")
    assert np.allclose(query, plain.embed(["query: card"]), atol=1e-5)
    assert np.allclose(embedder.embed(["card"]), plain.embed(["passage: card"]), atol=1e-5)
    assert np.allclose(query, TorchEmbedder(copied).embed(["card"], kind="query"), atol=1e-4)
    assert embedder.fingerprint != plain.fingerprint


def steps(embedder: Embedder) -> Counter[str]:
    """Count the kinds of steps of a compiled model."""
    assert isinstance(embedder, OnnxEmbedder)
    graph = load(embedder.folder / "model.onnx", load_external_data=False).graph
    return Counter(node.op_type for node in graph.node)


def test_attention_is_one_step_where_the_model_allows_it(
    source: ModelSource, onnx: OnnxEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise ValueError("not of that shape")

    assert steps(onnx)["Attention"] == 6 and not steps(onnx)["Softmax"]
    monkeypatch.setattr("promptlib.embedding.export._fuse", fails)
    plain = compile_model(source, tmp_path)
    assert steps(plain)["Softmax"] == 6 and not steps(plain)["Attention"]
    texts = ["hello", "How do I locate my card?"]
    assert np.allclose(plain.embed(texts), onnx.embed(texts), atol=1e-5)


def test_a_model_that_was_compiled_in_another_form_is_compiled_again(
    source: ModelSource, onnx: OnnxEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiled(source, onnx.folder.parent) is not None
    monkeypatch.setattr("promptlib.embedding.cache.FORMAT", 0)
    assert compiled(source, onnx.folder.parent) is None


def test_a_model_that_cannot_be_compiled_stays_on_pytorch(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(compile_module, "TOLERANCE", -1.0)  # no compiled model is that good
    embedder = compile_model(source, tmp_path)
    assert isinstance(embedder, TorchEmbedder)
    assert "runs on PyTorch, it can't be compiled: ValueError: vectors differ" in caplog.text
    assert compiled(source, tmp_path) is None and not list(tmp_path.glob("compiling-*"))


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    source: ModelSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    embedder = compile_model(source, tmp_path / "file" / "cache")
    assert isinstance(embedder, TorchEmbedder) and "set PROMPTLIB_CACHE" in caplog.text


def test_a_compiled_model_that_is_not_whole_is_compiled_again(
    source: ModelSource, onnx: OnnxEmbedder, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"  # other tests run on the shared one meanwhile
    shutil.copytree(onnx.folder.parent / "sources", cache / "sources")
    model = shutil.copytree(onnx.folder, cache / onnx.folder.name) / "model.bin"
    assert compiled(source, cache) is not None
    model.write_bytes(model.read_bytes()[:1000])
    assert compiled(source, cache) is None
    again = load_embedder(DEFAULT_MODEL, cache)
    assert again.embed(["hello"]).shape == (1, 384)


def test_a_compiled_model_that_cannot_be_read_is_named(onnx: OnnxEmbedder, tmp_path: Path) -> None:
    broken = shutil.copytree(onnx.folder, tmp_path / "broken")
    (broken / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(EmbedderError, match=r"broken can't be read .* delete that folder"):
        OnnxEmbedder(broken).embed(["hello"])


def test_weights_that_were_tampered_with_are_refused(source: ModelSource, tmp_path: Path) -> None:
    copied = shutil.copytree(source.folder, tmp_path / "model")
    with (copied / "model.safetensors").open("r+b") as weights:
        weights.seek(1_000_000)
        weights.write(b"\0\0\0\0")
    with pytest.raises(EmbedderError, match="isn't the published all-MiniLM-L6-v2"):
        ModelSource(copied, "bundled package").check()


def test_models_are_looked_for_in_order(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source.place == "bundled package"
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    repository = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "modules.json").write_text("[]")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    for name in (DEFAULT_MODEL, "all-MiniLM-L6-v2"):
        found = find_model(name)
        assert found == ModelSource(snapshot, "Hugging Face cache")
    found = find_model(str(source.folder))
    assert found is not None and found.place == "path"


def test_a_model_that_is_nowhere_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match=r"'BAAI/bge-small' .* HF_HUB_OFFLINE .* fetch it"):
        load_embedder("BAAI/bge-small")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotFoundError, match="hub can't be reached"):
        load_embedder("BAAI/bge-small")
    with pytest.raises(ModelNotFoundError, match="there is no folder"):
        load_embedder("./missing")
    with pytest.raises(ModelNotFoundError, match=r"it has no modules\.json"):
        load_embedder(str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match=r"pip install 'promptlib\[offline\]'"):
        load_embedder(DEFAULT_MODEL)
    assert time.monotonic() - start < 10


def test_a_lazy_embedder_loads_on_use() -> None:
    lazy = LazyEmbedder("hashing")
    assert lazy._loaded is None
    lazy.start()
    assert lazy.dim == 256 and lazy.fingerprint == "hashing-1-256"
    assert lazy.embed(["x"]).shape == (1, 256)


def test_starting_never_compiles_and_never_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTLIB_CACHE", str(tmp_path))
    for model in (DEFAULT_MODEL, "./nowhere"):
        lazy = LazyEmbedder(model)
        lazy.start()
        assert lazy._starting is not None
        lazy._starting.join()
        assert lazy._loaded is None
    assert list(tmp_path.iterdir()) == []


def test_once_compiled_pytorch_is_never_imported(onnx: OnnxEmbedder) -> None:
    code = (
        "import sys; from promptlib.embedding.loading import load_embedder\n"
        f"load_embedder({DEFAULT_MODEL!r}).embed(['hello'])\n"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_forked_child_embeds_too(onnx: OnnxEmbedder) -> None:
    texts = ["hello", *(f"where is card number {n}" for n in range(150))]
    alone, many = onnx.embed(texts[:1]), onnx.embed(texts)
    child = os.fork()
    if child == 0:
        try:
            same = np.allclose(onnx.embed(texts[:1]), alone)
            os._exit(0 if same and np.allclose(onnx.embed(texts), many) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_processes_that_start_at_once_compile_once(tmp_path: Path) -> None:
    code = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "from promptlib.embedding.loading import load_embedder\n"
        f"print(load_embedder({DEFAULT_MODEL!r}).embed(['hello']).sum())"
    )
    environment = os.environ | {"PROMPTLIB_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", code]
    running = [
        subprocess.Popen(command, cwd=CHECKOUT, env=environment, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]  # fmt: skip
    outputs = [process.communicate() for process in running]
    assert all(process.returncode == 0 for process in running), outputs
    assert len({out for out, _ in outputs}) == 1
    assert sum("compiling" in talk for _, talk in outputs) == 1


# -- int8 ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def int8() -> Embedder:
    return load_embedder(DEFAULT_MODEL, precision="int8")


def test_int8_is_near_the_original_and_another_embedder(int8: Embedder, onnx: OnnxEmbedder) -> None:
    assert isinstance(int8, OnnxEmbedder) and int8.fingerprint != onnx.fingerprint
    texts = ["I lost my card", "What is the exchange rate?", "¿Dónde está mi tarjeta?"]
    cosines = np.einsum("ij,ij->i", int8.embed(texts), onnx.embed(texts))
    assert cosines.min() > 0.97 and not np.allclose(int8.embed(texts), onnx.embed(texts))
    size = {e: (e.folder / "model.bin").stat().st_size for e in (int8, onnx)}
    assert size[int8] < size[onnx] / 3
    assert steps(int8)["QAttention"] == 6 and not steps(int8)["Softmax"]


@settings(max_examples=10)
@given(TEXTS)
def test_an_int8_vector_depends_on_its_text_alone(int8: Embedder, texts: list[str]) -> None:
    together = int8.embed(["a card", *texts])[0]
    assert (together == int8.embed(["a card"])[0]).all()


def test_int8_that_is_too_far_from_the_original_is_not_used(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(compile_module, "INT8_COSINE", 0.9999)
    embedder = compile_model(source, tmp_path, "int8")
    assert isinstance(embedder, TorchEmbedder)
    assert "at int8 the mean cosine with the original is 0.99" in caplog.text


def test_a_project_can_ask_for_int8(tmp_path: Path, int8: Embedder) -> None:
    import promptlib

    (tmp_path / "promptlib.toml").write_text('[embedder]\nprecision = "int8"\n')
    with promptlib.open(tmp_path) as project:
        assert project.embedder.fingerprint == int8.fingerprint
    (tmp_path / "promptlib.toml").write_text('[embedder]\nprecision = "int4"\n')
    with pytest.raises(promptlib.ConfigError, match="precision: input should be 'fp32' or 'int8'"):
        promptlib.open(tmp_path)


def test_what_a_model_reads_of_texts(onnx: OnnxEmbedder) -> None:
    coverage = onnx.coverage(["short", "word " * 400, "\U0001f9ff \u0b95\u0bcd\u0bb7"])
    assert (coverage.texts, coverage.longer) == (3, 1) and coverage.unknown >= 1
    assert 400 < coverage.tokens < 450
    assert LazyEmbedder(DEFAULT_MODEL).coverage(["short"]).longer == 0


@settings(max_examples=20)
@given(st.lists(st.text("ab é🧿 ", max_size=900), min_size=1, max_size=4), st.sampled_from([1, 70]))
def test_embedding_tells_what_was_read(onnx: OnnxEmbedder, texts: list[str], times: int) -> None:
    """At one go, and just as a tokenizer that cuts nothing counts."""
    texts = texts * times  # many go another way
    vectors, coverage = embed_and_cover(onnx, texts)
    assert np.allclose(vectors, onnx.embed(texts), atol=1e-6)
    whole = onnx._tokenizer()
    whole.no_truncation()
    lengths = [len(whole.encode(text).ids) for text in texts]
    assert coverage == onnx.coverage(texts)
    assert coverage.longer == sum(length > onnx.max_tokens for length in lengths)
    specials = 2  # that each part of a cut text has of its own
    parts = [max(1, -(-(n - specials) // (onnx.max_tokens - specials))) for n in lengths]
    assert coverage.tokens == sum(lengths) + specials * sum(n - 1 for n in parts)


def test_shorter_vectors_are_the_first_numbers_of_the_whole(onnx: OnnxEmbedder) -> None:
    lazy = LazyEmbedder(DEFAULT_MODEL, dimensions=64)
    lazy.start()
    whole, short = onnx.embed(["hello", "my card"]), lazy.embed(["hello", "my card"])
    assert short.shape == (2, 64) and np.allclose(np.linalg.norm(short, axis=1), 1)
    assert np.allclose(short[0] * np.linalg.norm(whole[0, :64]), whole[0, :64], atol=1e-6)
    assert lazy.fingerprint == f"{onnx.fingerprint}-64" and lazy.dim == 64
    assert lazy.coverage(["hello"]).longer == 0
    with pytest.raises(EmbedderError, match="have 384 numbers: dimensions = 385"):
        LazyEmbedder(DEFAULT_MODEL, dimensions=385).embed(["x"])


def test_queries_are_remembered_and_nobody_can_change_them(onnx: OnnxEmbedder) -> None:
    lazy = LazyEmbedder(DEFAULT_MODEL)
    first = lazy.embed(["my card"], kind="query")
    assert lazy.embed(["my card"], kind="query") is first
    assert np.array_equal(first, onnx.embed(["my card"], kind="query"))
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1
    lazy.embed(["my card"])[0, 0] = 1  # a document is made anew


def test_threads_are_those_that_are_told_or_were_measured(
    onnx: OnnxEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = json.loads((onnx.folder / "embedder.json").read_text())
    assert facts["cores"] == os.cpu_count() and 1 <= facts["threads"] <= 4
    assert threads_for(facts) == facts["threads"]
    assert threads_for(facts | {"cores": 1_000}) == threads_for({}) == min(os.cpu_count() or 1, 4)
    monkeypatch.setenv("PROMPTLIB_THREADS", "3")
    assert threads_for(facts) == lanes_here() == 3
    monkeypatch.setenv("PROMPTLIB_THREADS", "many")
    with pytest.raises(EmbedderError, match="a whole number from 1, not 'many'"):
        threads_for(facts)
    with pytest.raises(EmbedderError, match="not 'many'"):
        lanes_here()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batches_side_by_side_give_each_text_its_own_vector(
    onnx: OnnxEmbedder, threads: int
) -> None:
    texts = [f"{'my card ' * (n % 40)}and pin {n}" for n in range(300)]
    embedder = OnnxEmbedder(onnx.folder, threads=threads)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(embedder.embed, [texts] * 3))
    alone = np.concatenate([onnx.embed([text]) for text in texts])
    assert all(np.abs(each - alone).max() < 1e-5 for each in found)
    assert embedder.embed([]).shape == (0, 384)


def test_the_fastest_number_of_threads_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    chosen = measure_threads(lambda threads: lambda: time.sleep(0.004 / threads))
    assert chosen == {"cores": 4, "threads": 4}
    chosen = measure_threads(lambda threads: lambda: time.sleep(0.001 * threads))
    assert chosen["threads"] == 1


@given(st.lists(st.booleans(), max_size=40))
def test_all_cores_are_for_calls_that_meet_no_other(meets: list[bool]) -> None:
    crowd, quiet = Crowd(2), CALM
    for met in meets:
        with crowd.enter() as alone:
            quiet += 1
            assert alone == (quiet > CALM)
            if met:
                with crowd.enter() as other:
                    assert not other
                quiet = 0


def test_no_more_calls_than_cores_are_in_the_model_and_an_error_leaves_its_core() -> None:
    crowd, inside, most = Crowd(2), 0, 0
    lock = threading.Lock()

    def call(number: int) -> bool:
        nonlocal inside, most
        with crowd.enter() as alone:
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.002)
            with lock:
                inside -= 1
            if number % 7 == 0:
                raise ValueError("bad text")
            return alone

    with ThreadPoolExecutor(16) as pool:
        done = [pool.submit(call, number) for number in range(100)]
    assert [each.exception() is not None for each in done] == [n % 7 == 0 for n in range(100)]
    assert most == 2
    assert [call(n) for n in (1, 2, 3, 4, 5, 6, 8, 9, 10)] == [False] * CALM + [True]


def test_texts_by_many_threads_are_those_by_one(onnx: OnnxEmbedder) -> None:
    texts = [f"card {n} {'lost ' * (n % 7)}" for n in range(100)]
    with ThreadPoolExecutor(8) as pool:
        found = np.concatenate(list(pool.map(lambda text: onnx.embed([text]), texts)))
    assert np.abs(found - np.concatenate([onnx.embed([text]) for text in texts])).max() < 1e-5


@given(st.lists(st.integers(2, 256), max_size=400), st.integers(0, 2_000))
def test_batches_hold_every_text_once_and_little_padding(lengths: list[int], most: int) -> None:
    found = [part.tolist() for part in _batches(np.array(lengths, np.int64), most)]
    assert sorted(at for part in found for at in part) == [*range(len(lengths))]
    for part in found:
        sizes = np.array([lengths[at] for at in part])
        padded = sizes * np.arange(1, len(part) + 1)
        assert padded[-1] <= most or len(part) == 1
        good = (padded > FEW) & (sizes.cumsum() >= (1 - PADDING) * padded)
        assert good[-1] or not good.any()  # fewer texts would have been a better batch


# -- ahead ---------------------------------------------------------------------------------------


@given(st.integers(0, 3 * PART), st.randoms(use_true_random=False))
def test_each_query_is_embedded_once_beside_those_of_like_length(
    count: int, random: Random
) -> None:
    texts = [f"{n} " + "word " * random.randrange(9) for n in range(count)]
    embedder, sizes = HashingEmbedder(16), []

    def then(vectors: Vectors) -> Vectors:
        sizes.append(len(vectors))
        return 2 * vectors

    found = [*embedded_ahead(embedder, texts, then)]
    lengths = [len(texts[at]) for at, _, _ in found]
    assert sorted(at for at, _, _ in found) == [*range(count)]
    assert lengths == sorted(lengths, reverse=True)
    for at, vector, twice in found:
        assert (vector == embedder.embed([texts[at]])[0]).all() and (twice == 2 * vector).all()
    assert sum(sizes) == count and all(size <= PART for size in sizes)
