"""A causal language model on this machine, through transformers: answers, and odds of answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.errors import ModelError
from promptlib.models.answer import Answer, Ask, Finish, Say, cut_at
from promptlib.models.places import Place, find_place
from promptlib.models.spec import ModelSpec
from promptlib.models.transforming import quietly
from promptlib.text import first_line

BATCH = 16
"""Labels whose odds are worked out together."""


class LocalModel:
    """One model in memory. It answers one question at a time; others wait.

    A text is gone on from as it stands; messages are written by the model's own chat template.
    """

    concurrency = 1

    def __init__(self, spec: ModelSpec) -> None:
        self.name = spec.model
        self._spec = spec
        self._lock = threading.Lock()
        self._ended = threading.Event()

    @cached_property
    def place(self) -> Place:
        """Where its files are; raises ModelError."""
        return find_place(self._spec.name)

    @property
    def identity(self) -> Mapping[str, Any]:
        """See LanguageModel."""
        spec = self._spec
        return {"model": self.name, "files": self.place.stamp, "precision": spec.precision,
                "temperature": spec.temperature, "seed": spec.seed}  # fmt: skip

    @property
    def window(self) -> int | None:
        """Tokens of question and answer together; None where the model doesn't say."""
        config = self._parts[0].config
        return self._spec.window or getattr(config, "max_position_embeddings", None)

    def check(self) -> None:
        """See LanguageModel."""
        self.place  # noqa: B018 (raises for one that isn't here)

    def ask(self, ask: Ask, say: Say | None = None) -> Answer:
        """See LanguageModel."""
        import torch

        with self._lock, torch.inference_mode():
            model, tokenizer = self._parts
            self._ended.clear()  # what was stopped before is over
            start = time.perf_counter()  # neither loading nor waiting is the answer's
            ids = self._ids(ask)
            room = self._room(ids, ask)
            watch = _Watch(tokenizer, ids.shape[1], ask.stop, say, self._ended)
            warm = self._spec.temperature > 0
            if warm and self._spec.seed is not None:
                torch.manual_seed(self._spec.seed)
            made = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=room, do_sample=warm,
                temperature=self._spec.temperature if warm else None, top_p=None, top_k=None,
                stopping_criteria=[watch], pad_token_id=tokenizer.eos_token_id,
            )  # fmt: skip
        if self._ended.is_set():
            raise ModelError(f"{self.name} was stopped", final=True)
        text = watch.finish(made[0])
        came = made.shape[1] - ids.shape[1]
        finish: Finish = "length" if came >= room and not watch.stopped else "stop"
        return Answer(text, finish, ids.shape[1], came, time.perf_counter() - start, 0.0)

    def score(self, ask: Ask, labels: Sequence[str]) -> NDArray[np.float64]:
        """Give the log-probability of each label as the whole answer, (labels,).

        The end counts too, so that a label that begins another isn't favoured.
        """
        import torch

        with self._lock, torch.inference_mode():
            _, tokenizer = self._parts
            ids = self._ids(ask)
            self._room(ids, ask)
            gap = "" if ask.messages is not None or ask.text[-1:].isspace() else " "
            end = ask.stop[0] if ask.messages is None and ask.stop else tokenizer.eos_token or ""
            known = [self._encoded(f"{gap}{label}{end}") for label in labels]
            prefix = self._run(ids)
            scores = [
                score
                for at in range(0, len(known), BATCH)
                for score in self._odds(prefix, known[at : at + BATCH])
            ]
        return np.array(scores, dtype=np.float64)

    def close(self) -> None:
        """See LanguageModel."""
        self._ended.set()

    # -- parts -----------------------------------------------------------------------------------

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        with quietly() as transformers:
            try:
                model = transformers.AutoModelForCausalLM.from_pretrained(
                    self.place.folder, dtype=self._spec.precision, local_files_only=True
                )
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    self.place.folder, local_files_only=True
                )
            except ModelError:
                raise
            except Exception as error:  # transformers raises what it likes
                reason = first_line(str(error)) or type(error).__name__
                raise ModelError(
                    f"{self.name} can't be loaded from {self.place.folder}: {reason[:300]}",
                    final=True,
                ) from error
        return model.eval(), tokenizer

    def _encoded(self, text: str) -> list[int]:
        _, tokenizer = self._parts
        found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
        return found

    def _ids(self, ask: Ask) -> Any:
        """Write a question as the model reads it, (1, tokens)."""
        import torch

        _, tokenizer = self._parts
        if ask.messages is None:
            ids = tokenizer(ask.text).input_ids  # with what the model wants at a beginning
        else:
            try:
                text = tokenizer.apply_chat_template(
                    ask.chat, tools=list(ask.tools) or None, add_generation_prompt=True,
                    tokenize=False,
                )  # fmt: skip
            except Exception as error:  # templates raise what they like
                raise ModelError(f"{self.name} takes no such messages: {error}") from error
            ids = self._encoded(text)
        if not ids:
            raise ModelError(f"{self.name} was asked nothing")
        return torch.tensor([ids])

    def _room(self, ids: Any, ask: Ask) -> int:
        if self.window is None:
            return ask.max_tokens
        room = min(ask.max_tokens, self.window - ids.shape[1])
        if room < 1:
            raise ModelError(
                f"{self.name} reads {self.window:,} tokens, the prompt has {ids.shape[1]:,}"
            )
        return int(room)

    def _run(self, ids: Any) -> tuple[Any, Any]:
        """Read a question once: what is remembered of it, and the odds of the next token."""
        model, _ = self._parts
        read = model(ids, use_cache=True, logits_to_keep=1)
        return read.past_key_values, read.logits[0, -1].float().log_softmax(-1)

    def _odds(self, prefix: tuple[Any, Any], labels: list[list[int]]) -> list[float]:
        import copy

        import torch

        model, tokenizer = self._parts
        memory, first = prefix
        memory = copy.deepcopy(memory)
        memory.batch_repeat_interleave(len(labels))
        longest = max(map(len, labels))
        filled = [ids + [tokenizer.eos_token_id] * (longest - len(ids)) for ids in labels]
        logits = model(torch.tensor(filled), past_key_values=memory, use_cache=True).logits
        odds = logits.float().log_softmax(-1)
        return [
            float(first[ids[0]])
            + sum(float(odds[row, at, ids[at + 1]]) for at in range(len(ids) - 1))
            for row, ids in enumerate(labels)
        ]


class _Watch:
    """Reads along: hands pieces on, and ends the answer where it should."""

    def __init__(
        self, tokenizer: Any, start: int, stop: tuple[str, ...], say: Say | None,
        ended: threading.Event,
    ) -> None:  # fmt: skip
        self.stopped = False
        self._tokenizer = tokenizer
        self._start = start
        self._stop = stop
        self._say = say
        self._said = 0
        self._ended = ended

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        text, self.stopped = self._read(ids[0])
        self._tell(text)
        done = self.stopped or self._ended.is_set()
        return torch.full((ids.shape[0],), done, dtype=torch.bool)

    def finish(self, ids: Any) -> str:
        """Give the answer, and hand on what is left of it."""
        text, stopped = self._read(ids)
        self.stopped = self.stopped or stopped
        self._tell(text, last=True)
        return text

    def _read(self, ids: Any) -> tuple[str, bool]:
        text: str = self._tokenizer.decode(ids[self._start :], skip_special_tokens=True)
        cut = cut_at(text, self._stop)
        return cut, len(cut) < len(text)

    def _tell(self, text: str, last: bool = False) -> None:
        # Half a character, or half a stop mark, isn't told until the rest of it is there.
        held = 0 if last or self.stopped else max([1, *map(len, self._stop)]) - 1
        ready = len(text) - held
        if not last and text.endswith("\ufffd"):
            return
        if self._say is not None and ready > self._said:
            self._say(text[self._said : ready])
            self._said = ready
