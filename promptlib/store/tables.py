"""The tables of the database, as they are now; `migrations` brings older ones up to here."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite numbers rows by itself only where the key is spelt INTEGER.
RowKey = BigInteger().with_variant(Integer, "sqlite")

schema_version = Table(
    "schema_version",
    metadata,
    Column("number", Integer, nullable=False),
    Column("promptlib", String(50)),  # the version that brought this schema
)

stores = Table(
    "stores",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("uid", String(32), nullable=False),  # a new one per creation: names can be used again
    Column("revision", Integer, nullable=False),
    Column("token", String(32), nullable=False),  # of that revision: tells two histories apart
    Column("settings", JSON, nullable=False),  # StoreSettings
    Column("seed", JSON),  # hash and stat of the starter file that was merged last
)

# One row per write. A replica catches up only from a (revision, token) that stands here.
revisions = Table(
    "revisions",
    metadata,
    Column("store", ForeignKey("stores.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("token", String(32), nullable=False),
    Column("at", String(32), nullable=False),  # UTC, ISO 8601
    Column("by", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False),  # why, in the words of who did it
    Column("settings_before", JSON(none_as_null=True)),  # where it changed the store's settings
    Column("settings_after", JSON(none_as_null=True)),
)

examples = Table(
    "examples",
    metadata,
    Column("key", RowKey, primary_key=True),
    Column("store", ForeignKey("stores.key"), nullable=False),
    Column("id", String(200), nullable=False),
    Column("content", Text, nullable=False),  # canonical JSON: input, output, label, metadata
    Column("content_hash", String(32), nullable=False),
    Column("label", Text),  # in effect: the row's own, or what the store's label field says
    Column("status", String(10), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),  # of the last change
    Column("source_hash", String(32)),  # of the row as its source last had it; null: made by hand
    Column("text_hash", String(32), nullable=False),  # of the text that retrieval reads
    UniqueConstraint("store", "id"),
    Index("examples_by_revision", "store", "revision"),
)

# Every write, with the row before and after (null: not there). Undo and "as it was" read these.
changes = Table(
    "changes",
    metadata,
    Column("key", RowKey, primary_key=True),
    Column("store", ForeignKey("stores.key"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("example", String(200), nullable=False),
    Column("before", Text),
    Column("after", Text),
    Index("changes_by_revision", "store", "revision"),
    Index("changes_by_example", "store", "example"),
)

embedders = Table(
    "embedders",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("dim", Integer, nullable=False),
)

# Keyed by content: a text is embedded once, whatever store, import or edit it comes from.
vectors = Table(
    "vectors",
    metadata,
    Column("embedder", ForeignKey("embedders.key"), primary_key=True),
    Column("text_hash", String(32), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float16, little-endian
)

template_versions = Table(
    "template_versions",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hash", String(32), nullable=False),
    Column("files", JSON, nullable=False),  # the template and all that it includes, by name
    Column("static", JSON, nullable=False),  # the examples that every prompt of it shows
    Column("problems", JSON, nullable=False),  # what its check found and --force overrode
    Column("at", String(32), nullable=False),
    Column("by", String(200), nullable=False),
    Column("message", Text, nullable=False),
)

# How often prompts were built and how they were judged, by day (UTC): counts, never text.
usage_counts = Table(
    "usage_counts",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("template", String(200), primary_key=True),
    Column("store", String(200), primary_key=True),  # "" without one
    Column("model", String(200), primary_key=True),  # "" where none was named
    Column("k", Integer, primary_key=True),  # most examples that might be shown
    Column("prompts", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cacheable", BigInteger, nullable=False),  # of those, the start shared with the last
    Column("correct", BigInteger, nullable=False),
    Column("wrong", BigInteger, nullable=False),
)

# What language models answered, by the hash of all that the answer depends on. Prompts aren't here.
answers = Table(
    "answers",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("model", String(200), nullable=False),
    Column("settings", JSON, nullable=False),  # what the model was, and how it was asked
    Column("store", String(200), nullable=False),  # whose examples the prompt showed; "" for none
    Column("text", Text, nullable=False),
    Column("finish", String(10), nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cost", Float),  # USD; null where no price was known
    Column("at", String(32), nullable=False),
    Index("answers_by_store", "store"),
)

# How answers were judged, one row per question that was tried in one way. Never text.
outcomes = Table(
    "outcomes",
    metadata,
    Column("key", String(32), primary_key=True),  # of model, template, way, metric and question
    Column("model", String(200), nullable=False),
    Column("template", String(200), nullable=False),
    Column("version", Integer),  # null for a working file
    Column("template_hash", String(32), nullable=False),
    Column("store", String(200), nullable=False),
    Column("strategy", String(200), nullable=False),
    Column("weights", JSON, nullable=False),
    Column("k", Integer, nullable=False),
    Column("ordering", String(20), nullable=False),
    Column("budget", Integer),
    Column("metric", String(200), nullable=False),
    Column("question", String(32), nullable=False),  # hash of what was asked
    Column("score", Float, nullable=False),  # 1 right, 0 wrong, or between
    Column("kind", String(20), nullable=False),  # right, or in which way it was wrong
    Column("proxies", JSON, nullable=False),  # what could be said without the model
    Column("tokens", Integer, nullable=False),  # of the prompt
    Column("seconds", Float, nullable=False),
    Column("cost", Float),
    Column("at", String(32), nullable=False),
    Index("outcomes_by_store", "store", "model"),
)

# One row per move of a label; the last one of a (name, label) is where it points.
template_labels = Table(
    "template_labels",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("label", String(200), nullable=False),
    Column("number", Integer, nullable=False),
    Column("reason", String(10), nullable=False),  # publish, label or rollback
    Column("at", String(32), nullable=False),
    Column("by", String(200), nullable=False),
    Index("template_labels_by_name", "name", "label"),
)
