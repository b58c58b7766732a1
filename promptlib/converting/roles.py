"""From text with role lines (`system:` alone on a line) to messages that are built structurally."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from promptlib.converting.converted import Leftovers
from promptlib.errors import TemplateError

ROLE = re.compile(
    r"^[ \t]*+#?[ \t]*+(system|developer|user|assistant|tool|function)[ \t]*(\[[^\]\n]*\])?[ \t]*:"
    r"[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""A role line, by section 2.10 of Prompty's specification."""

_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}")
_END_OF_RAW = re.compile(r"\{%-?\s*endraw\s*-?%\}")
_CLOSERS = {"{{": "}}", "{%": "%}", "{#": "#}"}

_COMPUTED = re.compile(r"^[ \t]*+#?[ \t]*+\{\{[^{}\n]*\}\}[ \t]*+:[ \t]*+$", re.MULTILINE)
"""A role line whose role is an expression."""

_CONVERSATION = re.compile(
    r"""\{%-?\s*for\s+(\w+)\s+in\s+(\w+)\s*-?%\}\s*\#?\s*
        \{\{-?\s*\1(?:\.role|\[["']role["']\])\s*-?\}\}\s*:\s*
        \{\{-?\s*\1(?:\.content|\[["']content["']\])\s*-?\}\}\s*\{%-?\s*endfor\s*-?%\}""",
    re.VERBOSE,
)
"""A loop that shows every message of a list with its own role."""

_SET = re.compile(r"\{%[-+]?\s*set\s[^%]*=")
"""A tag that sets a variable to a value."""

_TAG = re.compile(r"\{%[-+]?\s*(\w+)")
_CLOSED = ("for", "if", "macro", "call", "filter", "block", "with", "autoescape")
_MIDDLE = ("else", "elif")


LEADING = "leading"
"""The role of what stands above the first role line."""


@dataclass
class _Block:
    """A tag with a body: its opening, parts with the tags between them, its closing."""

    opening: str
    parts: list[tuple[str, list[_Block | str]]] = field(default_factory=list)
    closing: str = ""

    @property
    def has_roles(self) -> bool:
        return any(_has_roles(nodes) for _, nodes in self.parts)

    def text(self) -> str:
        inner = "".join(tag + "".join(map(_text, nodes)) for tag, nodes in self.parts)
        return f"{self.opening}{inner}{self.closing}"


_Nodes = list[_Block | str]


def with_messages(body: str, thread: str | None, left: Leftovers) -> tuple[str, set[str]]:
    """Put a message tag around what stands below each role line.

    What stands above the first is a system message. `thread` names the input that holds the
    conversation, where the body prints one. Returns the new body, and the names of inputs that it
    shows as conversations. Raises TemplateError for tags that don't match.
    """
    nodes, rest = _tree(list(_pieces(body)), None)
    if rest:
        raise TemplateError(f"the tag {rest[0].strip()} closes nothing")
    messages = _Messages(thread, left)
    made = "".join(messages.convert(nodes, LEADING)).strip("\n") + "\n"
    return made, messages.conversations


def _pieces(body: str) -> Iterator[str]:
    """Cut a body into text, tags, expressions and comments; what is raw is one piece."""
    done = at = 0
    while (at := body.find("{", at)) >= 0:
        closer = _CLOSERS.get(body[at : at + 2])
        end = body.find(closer, at + 2) if closer is not None else -1
        if end < 0:
            if closer is not None and body.find(closer) < 0:
                break  # no such closer anywhere: the rest is text
            at += 1
            continue
        end += 2
        if _RAW.fullmatch(body, at, end):
            closing = _END_OF_RAW.search(body, end)
            end = closing.end() if closing else len(body)
        yield body[done:at]
        yield body[at:end]
        done = at = end
    yield body[done:]


def _tree(pieces: list[str], ends: str | None) -> tuple[_Nodes, list[str]]:
    """Build the tree of blocks up to the tag that ends it; returns what is left."""
    nodes: _Nodes = []
    while pieces:
        piece = pieces[0]
        tag = _TAG.match(piece)
        word = tag[1] if tag else ""
        if ends is not None and (word == f"end{ends}" or word in _MIDDLE):
            return nodes, pieces
        if word.startswith("end") and word != "endraw" and tag:
            return nodes, pieces
        pieces = pieces[1:]
        is_line = word == "set" and "=" in piece
        if not piece:
            continue
        if word not in (*_CLOSED, "set") or is_line:
            nodes.append(piece)
            continue
        block = _Block(piece)
        between = ""
        while True:
            inside, pieces = _tree(pieces, word)
            block.parts.append((between, inside))
            if not pieces:
                raise TemplateError(f"the tag {piece.strip()} is never closed")
            between, pieces = pieces[0], pieces[1:]
            found = _TAG.match(between)
            if found and found[1] == f"end{word}":
                block.closing = between
                break
            if found and found[1].startswith("end"):
                raise TemplateError(f"{between.strip()} stands where {piece.strip()} is open")
        nodes.append(block)
    return nodes, pieces


def _has_roles(nodes: Sequence[_Block | str]) -> bool:
    return any(
        node.has_roles if isinstance(node, _Block) else ROLE.search(node) is not None
        for node in nodes
    )


def _text(node: _Block | str) -> str:
    return node.text() if isinstance(node, _Block) else node


@dataclass
class _Messages:
    thread: str | None
    left: Leftovers
    conversations: set[str] = field(default_factory=set)

    def convert(self, nodes: _Nodes, role: str | None) -> Iterator[str]:
        """Write nodes; text before a role line belongs to `role`, if there is one."""
        said = ""
        for node in nodes:
            if isinstance(node, _Block) and (loop := _CONVERSATION.fullmatch(node.text())):
                yield from self._message(role, said)
                said, role = "", None
                self.conversations.add(loop[2])
                yield f"{{% turns {loop[2]} %}}\n"
            elif isinstance(node, _Block) and node.has_roles:
                yield from self._message(role, said)
                said, role = "", None
                yield _line(node.opening)
                for between, inside in node.parts:
                    yield _line(between) if between else ""
                    yield from self.convert(inside, None)
                yield _line(node.closing)
            elif isinstance(node, str) and self._is_thread(node):
                yield from self._message(role, said)
                said, role = "", None
                yield "{% turns history %}\n"
            elif isinstance(node, str) and not node.startswith("{"):
                parts = ROLE.split(node)
                said += parts[0]
                for name, told, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
                    yield from self._message(role, said)
                    said, role = text, self._role(name.lower())
                    if told and not told.startswith("[nonce="):
                        self.left.add(f"{told} of a role line")
            elif isinstance(node, str) and _SET.match(node):
                yield f"{node}\n"  # inside a message it would be forgotten after it
            else:
                said += _text(node)
        yield from self._message(role, said)

    def _role(self, name: str) -> str:
        if name in ("function", "tool"):
            self.left.add(f"role {name}", "it answers a call; such messages are the user's now")
            return "user"
        return name

    def _is_thread(self, piece: str) -> bool:
        if self.thread is None:
            return False
        return re.fullmatch(rf"\{{\{{-?\s*{re.escape(self.thread)}\s*-?\}}\}}", piece) is not None

    def _message(self, role: str | None, said: str) -> Iterator[str]:
        text = said.strip()
        if not text:
            return
        for line in _COMPUTED.findall(text):
            self.left.add(
                f"the role line {line.strip()!r}", "a role can't be computed: it is text now"
            )
        is_tags = all(not p.strip() or p.startswith(("{%", "{#")) for p in _pieces(text))
        if role in (None, LEADING) and is_tags:
            yield f"{text}\n"  # tags and comments alone
            return
        if role == LEADING:
            role = "system"
        if role is None:
            shown = " ".join(text.split())[:60]
            self.left.add(
                f"text that no role line stands above: {shown!r}", "it is a system message"
            )
            role = "system"
        yield f'{{% message "{role}" %}}\n{text}\n{{% endmessage %}}\n'


def _line(tag: str) -> str:
    return f"{tag}\n"
