"""A real HTTP server that speaks OpenAI's chat API: with an answer for each model, or a fault.

The model's name says what it does: `label` answers as the nearest example, others fail in the way
that they are called. `flaky` mixes them all into one request in five.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("busy", "broken", "half", "nonsense", "page", "hang")
KEY = "the-right-key"


def nearest(messages: list[dict[str, Any]]) -> str:
    """Answer as the example right before the question was answered."""
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    return answers[-1] if answers else "I do not know"


class ModelServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Callable[[list[dict[str, Any]]], str] = nearest) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.random = random.Random(0)
        self.lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answered: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.going = self.most = 0
        self.lie: Any = -10
        self.delay = 0.0
        """Seconds to every answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has left is no error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers["Authorization"].removeprefix("Bearer "))
            server.going += 1
            server.most = max(server.most, server.going)
            fault = body["model"]
            if fault == "flaky":
                fault = server.random.choice(FAULTS) if server.random.random() < 0.2 else "label"
            if fault in FAULTS:
                server.faults[fault] += 1
        try:
            self.reply(fault, body)
        finally:
            with server.lock:
                server.going -= 1

    def reply(self, fault: str, body: dict[str, Any]) -> None:
        if fault == "locked" and self.headers["Authorization"] != f"Bearer {KEY}":
            return self.error(401, "invalid_api_key", "Incorrect API key provided")
        if fault == "echo":
            return self.error(401, "invalid_api_key", f"bad: {self.headers['Authorization']}")
        if fault == "missing":
            return self.error(404, "model_not_found", "The model does not exist")
        if fault == "poor":
            return self.error(429, "insufficient_quota", "You exceeded your current quota")
        if fault == "busy":
            return self.error(
                429, "rate_limit_exceeded", "Rate limit reached", {"Retry-After": "0"}
            )
        if fault == "broken":
            return self.error(500, "server_error", "The server had an error")
        if fault == "picky" and "temperature" in body:
            return self.error(
                400, "unsupported_value", "Only the default is supported", param="temperature"
            )
        if fault == "long":
            return self.error(400, "context_length_exceeded", "maximum context length is 10 tokens")
        if fault == "hang":
            time.sleep(3)
            return None
        if fault == "nonsense":
            return self.send(b'{"hello": "world"}')
        if fault == "page":
            return self.send(b"<html>502 Bad Gateway</html>", kind="text/html")
        time.sleep(self.server.delay)
        text, finish, refusal = self.server.answer(body["messages"]), "stop", None
        if fault == "empty":
            text = ""
        if fault == "refusing":
            text, refusal = "", "I can't help with that"
        if fault == "filtered":
            text, finish = "", "content_filter"
        if fault == "wordy":
            text, finish = text + " and so on", "length"
        if fault == "stopless" and "stop" in body:
            return self.error(400, "unsupported_parameter", "No stop here", param="stop")
        if fault != "stopless":
            for mark in body.get("stop") or ():
                text = text.split(mark)[0]
        if fault == "surrogate":
            text = "a\ud800b"
        with self.server.lock:
            self.server.answered[json.dumps(body["messages"])] += 1
        if body.get("stream"):
            return self.stream(text, finish, refusal, half=fault == "half")
        usage: dict[str, Any]
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        if fault == "liar":
            usage["prompt_tokens"] = self.server.lie
        message = {"role": "assistant", "content": text or None, "refusal": refusal}
        whole = {
            "id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": usage,
        }  # fmt: skip
        return self.send(json.dumps(whole).encode(), half=fault == "half")

    def stream(self, text: str, finish: str, refusal: str | None, half: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        words = [(refusal or text)[at : at + 5] for at in range(0, len(refusal or text), 5)]
        key = "refusal" if refusal else "content"
        deltas = [({key: word}, None) for word in words]
        for delta, reason in [*(deltas[:1] if half else [*deltas, ({}, finish)])]:
            chunk = {
                "id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }  # fmt: skip
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if not half:
            usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
            last = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m",
                    "choices": [], "usage": usage}  # fmt: skip
            self.wfile.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())

    def send(self, data: bytes, kind: str = "application/json", half: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        if half:
            self.close_connection = True

    def error(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None,
        param: str | None = None,
    ) -> None:  # fmt: skip
        data = json.dumps(
            {"error": {"message": message, "type": "x", "code": code, "param": param}}
        ).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(answer: Callable[[list[dict[str, Any]]], str] = nearest) -> Iterator[ModelServer]:
    """Serve while the block runs."""
    server = ModelServer(answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
