"""Write a sentence-transformers model as ONNX, the whole of it, as it runs fastest."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from promptlib.embedding.cache import FORMAT
from promptlib.embedding.embedder import Precision
from promptlib.embedding.onnx import open_session
from promptlib.embedding.reference import TorchEmbedder, quiet

PROBES = (
    "hello",
    "How do I locate my card?",
    "The quick brown fox jumps over the lazy dog.",
    "def add(a, b):\n    return a + b",
    "¿Dónde está la biblioteca?",
    "Prices rose by 3.5 % in the second quarter of 2021.",
    "Ünïcödé, 中文 and emoji 🙂",
    "a much longer text, so that its neighbours in the batch are padded a good deal; " * 6,
)

SKIP = "SkipLayerNormFusion"
"""ONNX Runtime's one step for a sum and its normalisation takes three times as long as both."""


def export_model(
    reference: TorchEmbedder, folder: Path, fingerprint: str, precision: Precision, *, fused: bool
) -> None:
    """Write a model, pooling and normalisation included, and all that running it needs.

    `fused` puts each layer's attention into one step, which takes a fifth off a short text's time;
    not every model has a shape that allows it.
    """
    if fused:
        for transformer in _transformers(reference):
            transformer.set_attn_implementation("eager")  # step by step, as fusing looks for it
    inputs = _trace(reference, folder / "exported.onnx")
    if fused:
        _fuse(folder / "exported.onnx", *_heads(reference))
    if precision == "int8":
        _quantise(folder / "exported.onnx")
    open_session(
        folder / "exported.onnx", optimize_into=folder / "model.onnx",
        without=(SKIP,) if fused else (),
    )  # fmt: skip
    (folder / "exported.onnx").unlink()
    reference.model.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    facts = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "precision": precision,
        "dim": reference.dim,
        "max_tokens": reference.max_tokens,
        "prompts": reference.prompts,
        "inputs": inputs,
        "sizes": {file.name: file.stat().st_size for file in sorted(folder.glob("model.*"))},
    }
    (folder / "embedder.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")


def _trace(reference: TorchEmbedder, file: Path) -> list[str]:
    """Write the model as PyTorch runs it; returns the names of its inputs."""
    with quiet():
        import torch

        class Whole(torch.nn.Module):  # type: ignore[misc, unused-ignore]
            def __init__(self) -> None:
                super().__init__()
                self.model = reference.model

            def forward(self, *tensors: Any) -> Any:
                out = self.model(dict(zip(inputs, tensors, strict=True)))
                return torch.nn.functional.normalize(out["sentence_embedding"], dim=-1)

        tokenizer = reference.model.tokenizer
        sample = tokenizer(list(PROBES[:4]), padding=True, return_tensors="pt")
        inputs = [name for name in tokenizer.model_input_names if name in sample]
        axes = {name: {0: "batch", 1: "length"} for name in inputs} | {"embedding": {0: "batch"}}
        with torch.no_grad():
            torch.onnx.export(
                Whole(),
                tuple(sample[name] for name in inputs),
                str(file),
                input_names=inputs,
                output_names=["embedding"],
                dynamic_axes=axes,
                opset_version=17,
                dynamo=False,
            )
    return inputs


def _transformers(reference: TorchEmbedder) -> list[Any]:
    return [p for p in reference.model.modules() if hasattr(p, "set_attn_implementation")]


def _heads(reference: TorchEmbedder) -> tuple[int, int]:
    """Say how many heads a model's attention has, and how wide it is; 0 if that isn't known."""
    for transformer in _transformers(reference):
        config = transformer.config
        names = ("num_attention_heads", "hidden_size")
        return getattr(config, names[0], 0), getattr(config, names[1], 0)
    return 0, 0


def _fuse(model: Path, heads: int, width: int) -> None:
    """Put the steps of each attention, and of each activation, together, in place."""
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    options = FusionOptions("bert")
    options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = False  # see SKIP
    with _silenced():
        fused = optimize_model(  # level 0 leaves the rest to `open_session`
            str(model), model_type="bert", num_heads=heads, hidden_size=width, opt_level=0,
            optimization_options=options,
        )  # fmt: skip
        fused.save_model_to_file(str(model))


def _quantise(model: Path) -> None:
    """Turn weights into 8-bit integers, in place.

    A scale for each channel keeps the mean cosine at .994 where one for a whole matrix has .970.
    """
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantised = model.with_suffix(".int8")
    with _silenced():
        quantize_dynamic(
            model, quantised, weight_type=QuantType.QInt8, per_channel=True,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},  # of what fused steps give
        )  # fmt: skip
    os.replace(quantised, model)


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep ONNX Runtime's tools from talking to the root logger about their own steps."""
    noise = logging.getLogger()
    level = noise.level
    noise.setLevel(logging.ERROR)
    try:
        yield
    finally:
        noise.setLevel(level)
