"""The tools that are compared, each as its own documentation says, behind one small interface.

All get the same model, rows and k, and make the same prompt. Nothing is imported but what the
chosen tool needs, so that a process pays for that alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

K = 8
BUDGET = 400
HEAD = "Name the intent of each query.\n\n"
SHOWN = "Query: {input}\nIntent: {output}\n\n"
TAIL = "Query: {query}\nIntent:"

Row = dict[str, str]


class Tool:
    """A tool in one process. `folder` is its own, kept from one process to the next."""

    modules: tuple[str, ...] = ()
    """What a program that uses the tool imports."""

    def __init__(self, model: str, folder: Path) -> None:
        self.model = model
        self.folder = folder

    def ingest(self, rows: list[Row]) -> None:
        """Embed rows, and keep them where the tool can."""
        raise NotImplementedError

    def open(self) -> None:
        """Make ready, in a new process, to answer from what was kept."""
        raise NotImplementedError

    def prompt(self, query: str) -> tuple[str, list[str]]:
        """Make a prompt; gives it, and the outputs of the examples that it shows."""
        raise NotImplementedError

    def prompts(self, queries: list[str]) -> list[tuple[str, list[str]]]:
        """Make many; tools that have no way of their own make one after the other."""
        return [self.prompt(query) for query in queries]


def written(rows: list[Row], query: str) -> tuple[str, list[str]]:
    """Write the prompt for tools that only retrieve; the nearest example stands last."""
    shown = "".join(SHOWN.format(**row) for row in reversed(rows))
    return HEAD + shown + TAIL.format(query=query), [row["output"] for row in rows]


class LangChain(Tool):
    """SemanticSimilarityExampleSelector on FAISS, and a FewShotPromptTemplate."""

    modules = (
        "langchain_community.vectorstores", "langchain_core.example_selectors",
        "langchain_core.prompts", "langchain_huggingface",
    )  # fmt: skip

    def _embeddings(self) -> Any:
        from langchain_huggingface import HuggingFaceEmbeddings

        return HuggingFaceEmbeddings(model_name=self.model)

    def _ready(self, store: Any) -> None:
        from langchain_core.example_selectors import SemanticSimilarityExampleSelector
        from langchain_core.prompts import FewShotPromptTemplate, PromptTemplate

        self.selector = SemanticSimilarityExampleSelector(
            vectorstore=store, k=K, input_keys=["input"]
        )
        self.template = FewShotPromptTemplate(
            example_selector=self.selector,
            example_prompt=PromptTemplate.from_template(SHOWN.rstrip("\n")),
            prefix=HEAD.rstrip("\n"), suffix=TAIL.replace("{query}", "{input}"),
            input_variables=["input"],
        )  # fmt: skip

    def ingest(self, rows: list[Row]) -> None:
        from langchain_community.vectorstores import FAISS
        from langchain_core.example_selectors import SemanticSimilarityExampleSelector

        selector = SemanticSimilarityExampleSelector.from_examples(
            rows, self._embeddings(), FAISS, k=K, input_keys=["input"]
        )
        selector.vectorstore.save_local(str(self.folder))

    def open(self) -> None:
        from langchain_community.vectorstores import FAISS

        self._ready(
            FAISS.load_local(
                str(self.folder), self._embeddings(), allow_dangerous_deserialization=True
            )
        )

    def prompt(self, query: str) -> tuple[str, list[str]]:
        text = self.template.format(input=query)
        shown = text[len(HEAD) :].split("\n\nQuery: ")[:-1]
        return text, [each.rpartition("Intent: ")[2] for each in shown]


class LlamaIndex(Tool):
    """A VectorStoreIndex in memory, persisted, and its retriever."""

    modules = ("llama_index.core", "llama_index.embeddings.huggingface")

    def _embeddings(self) -> Any:
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding

        return HuggingFaceEmbedding(model_name=self.model)

    def ingest(self, rows: list[Row]) -> None:
        from llama_index.core import VectorStoreIndex
        from llama_index.core.schema import TextNode

        nodes = [
            TextNode(
                text=row["input"], metadata={"output": row["output"]},
                excluded_embed_metadata_keys=["output"],
            )
            for row in rows
        ]  # fmt: skip
        index = VectorStoreIndex(nodes, embed_model=self._embeddings())
        index.storage_context.persist(str(self.folder))

    def open(self) -> None:
        from llama_index.core import StorageContext, load_index_from_storage

        context = StorageContext.from_defaults(persist_dir=str(self.folder))
        index = load_index_from_storage(context, embed_model=self._embeddings())
        self.retriever = index.as_retriever(similarity_top_k=K)

    def prompt(self, query: str) -> tuple[str, list[str]]:
        found = self.retriever.retrieve(query)
        rows = [{"input": n.node.text, "output": n.node.metadata["output"]} for n in found]
        return written(rows, query)


class DSPy(Tool):
    """dspy.KNN over a training set: it keeps nothing, so each process embeds all rows."""

    modules = ("dspy", "sentence_transformers")

    def ingest(self, rows: list[Row]) -> None:
        import dspy
        from sentence_transformers import SentenceTransformer

        dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
        trainset = [dspy.Example(**row).with_inputs("input") for row in rows]
        self.knn = dspy.KNN(
            k=K, trainset=trainset,
            vectorizer=dspy.Embedder(SentenceTransformer(self.model).encode),
        )  # fmt: skip

    def open(self) -> None:
        self.ingest(json.loads((self.folder.parent / "rows.json").read_text()))

    def prompt(self, query: str) -> tuple[str, list[str]]:
        found = self.knn(input=query)
        return written([{"input": e.input, "output": e.output} for e in found], query)


class Chroma(Tool):
    """A persistent Chroma collection with its SentenceTransformer embedding function."""

    modules = ("chromadb", "chromadb.utils.embedding_functions")

    def _collection(self) -> Any:
        import chromadb
        from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction

        client = chromadb.PersistentClient(path=str(self.folder))
        return client.get_or_create_collection(
            "rows", embedding_function=SentenceTransformerEmbeddingFunction(self.model),
            configuration={"hnsw": {"space": "cosine"}},
        )  # fmt: skip

    def ingest(self, rows: list[Row]) -> None:
        collection = self._collection()
        for start in range(0, len(rows), 5_000):
            part = rows[start : start + 5_000]
            collection.add(
                ids=[str(start + n) for n in range(len(part))],
                documents=[row["input"] for row in part],
                metadatas=[{"output": row["output"]} for row in part],
            )

    def open(self) -> None:
        self.collection = self._collection()

    def prompt(self, query: str) -> tuple[str, list[str]]:
        found = self.collection.query(query_texts=[query], n_results=K)
        rows = [
            {"input": text, "output": facts["output"]}
            for text, facts in zip(found["documents"][0], found["metadatas"][0], strict=True)
        ]
        return written(rows, query)


class Promptlib(Tool):
    """promptlib with one strategy."""

    modules = ("promptlib",)
    strategy, precision = "similar", "fp32"

    def ingest(self, rows: list[Row]) -> None:
        import promptlib

        (self.folder / "templates").mkdir(parents=True, exist_ok=True)
        (self.folder / "templates" / "intent.j2").write_text(TEMPLATE)
        (self.folder / "promptlib.toml").write_text(
            f'[embedder]\nmodel = "{self.model}"\nprecision = "{self.precision}"\n'
        )
        file = self.folder / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        with promptlib.open(self.folder) as project:
            project.import_file("rows", file)

    def open(self) -> None:
        import promptlib

        self.project = promptlib.open(self.folder, start=True)

    def prompt(self, query: str) -> tuple[str, list[str]]:
        return self._told(self.project.build("intent", query, strategy=self.strategy))

    def prompts(self, queries: list[str]) -> list[tuple[str, list[str]]]:
        return [*map(self._told, self.project.build_many("intent", queries,
                                                         strategy=self.strategy))]  # fmt: skip

    @staticmethod
    def _told(prompt: Any) -> tuple[str, list[str]]:
        return prompt.text, [str(shown.example.output) for shown in prompt.examples]


class PromptlibHybrid(Promptlib):
    """The default strategy: meaning and words."""

    strategy = "hybrid"


class PromptlibInt8(Promptlib):
    """The embedding model with 8-bit weights."""

    precision = "int8"


TEMPLATE = f"""\
---
description: Name an intent.
inputs:
  query: {{type: string}}
examples: {{store: rows, k: {K}}}
budget: {{tokens: {BUDGET}, reserve: 0}}
encoding: o200k_base
---
{HEAD}{{% for example in examples -%}}
Query: {{{{ example.input }}}}
Intent: {{{{ example.output }}}}

{{% endfor -%}}
Query: {{{{ query }}}}
Intent:"""

TOOLS: dict[str, type[Tool]] = {
    "promptlib": Promptlib,
    "promptlib hybrid": PromptlibHybrid,
    "promptlib int8": PromptlibInt8,
    "LangChain": LangChain,
    "LlamaIndex": LlamaIndex,
    "DSPy": DSPy,
    "Chroma": Chroma,
}


def is_ours(name: str) -> bool:
    """Whether a tool runs in promptlib's own environment."""
    return name.startswith("promptlib")


if __name__ == "__main__":
    print("\n".join(TOOLS), file=sys.stdout)
