"""Special tokens of models in data: text that a server's tokenizer could take for a command.

An API that gets messages keeps text and framing apart, so there they do no harm. A text prompt is
one string: what looks like the end of a turn may be taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import Any, Literal

Neutralise = Literal["keep", "strip", "escape", "refuse"]

SPECIAL_TOKENS = {
    "ChatML": (
        "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>", "<|endofprompt|>",
        "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|system|>", "<|user|>",
        "<|assistant|>",
    ),
    "Llama 2": ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<unk>"),
    "Llama 3": (
        "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
        "<|eot_id|>", "<|eom_id|>", "<|python_tag|>", "<|finetune_right_pad_id|>",
        "<|reserved_special_token_0|>",
    ),
    "Llama 4": ("<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>", "<|step|>"),
    "Gemma": (
        "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<mask>",
        "<start_of_image>", "<end_of_image>", "<start_of_audio>", "<end_of_audio>", "<unused0>",
    ),
    "Mistral": (
        "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
        "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[ARGS]",
        "[CALL_ID]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]",
        "[THINK]", "[/THINK]", "[AUDIO]", "[BEGIN_AUDIO]", "[MODEL_SETTINGS]",
        "[/MODEL_SETTINGS]",
    ),
    "harmony": (
        "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>",
        "<|call|>",
    ),
    "DeepSeek": (
        "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
    ),
}  # fmt: skip
"""Family -> the tokens that frame its conversations, as its tokenizer configuration spells them."""

# Any word between `<|` and `|>` counts: new models add tokens of that shape all the time.
_SHAPES = r"<\|[A-Za-z0-9_]{1,64}\|>|<｜[^｜<>]{1,64}｜>|<unused[0-9]{1,4}>"
_PATTERN = re.compile(
    "|".join([
        _SHAPES,
        *(
            re.escape(token)
            for family in SPECIAL_TOKENS.values()
            for token in family
            if not re.fullmatch(_SHAPES, token)
        ),
    ])
)  # fmt: skip


def may_hold_tokens(text: str) -> bool:
    """Whether a text, or the JSON of data, is worth a closer look."""
    return "<" in text or "[" in text


def special_tokens(text: str) -> list[str]:
    """List the special tokens that stand in a text."""
    return _PATTERN.findall(text) if may_hold_tokens(text) else []


def special_tokens_in(value: Any) -> list[str]:
    """List the special tokens in all texts of plain data, keys too."""
    if isinstance(value, str):
        return special_tokens(value)
    if isinstance(value, dict):
        return [
            token for pair in value.items() for part in pair for token in special_tokens_in(part)
        ]
    if isinstance(value, list | tuple):
        return [token for item in value for token in special_tokens_in(item)]
    return []


def neutralised(text: str, how: Neutralise, own: Container[str] = ()) -> str:
    """Strip special tokens out of a text, or set a space behind their first character.

    Those in `own` stay; so do all where the template keeps or refuses them.
    """
    if how in ("keep", "refuse"):
        return text

    def other(match: re.Match[str]) -> str:
        token = match[0]
        if token in own:
            return token
        return f"{token[0]} {token[1:]}" if how == "escape" else ""

    while any(token not in own for token in special_tokens(text)):
        text = _PATTERN.sub(other, text)  # what was around a token may make up another one
    return text


def neutraliser(how: Neutralise) -> Callable[[str], str] | None:
    """Make the function that data goes through; None where it stays as it is.

    What refuses tokens looks at what was made of the data: a candidate may go unshown.
    """
    return None if how in ("keep", "refuse") else lambda text: neutralised(text, how)
