"""Check templates of unknown origin: in a process of its own, with little time and memory.

What an expression may make is limited everywhere; how long a loop may turn is only limited here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptlib.checking.findings import Problem, Room, TemplateCheck
from promptlib.errors import PromptlibError
from promptlib.opening import open_project

SECONDS = 10
"""Of processor time, for each template."""

MEGABYTES = 512
"""Of memory, beyond what promptlib itself takes."""

# -P: what lies in the current folder, as foreign as the templates, is never imported.
_PROGRAM = "from promptlib.foreign import serve; serve()"


def check_foreign(root: Path, names: Sequence[str]) -> list[TemplateCheck]:
    """Check templates one by one in a child; what breaks the limits is an error of its template.

    Raises PromptlibError where no limits can be set.
    """
    found: list[TemplateCheck] = []
    waiting = list(names)
    while waiting:
        checks, end = _run(root, waiting)
        found += checks
        waiting = waiting[len(checks) :]
        if waiting:  # the child has died over the next one
            found.append(TemplateCheck(waiting[0], (Problem("error", waiting[0], end),)))
            waiting = waiting[1:]
    return found


def _run(root: Path, names: Sequence[str]) -> tuple[list[TemplateCheck], str]:
    """Start a child; returns what it found, and how it ended."""
    order = json.dumps({"root": str(root), "names": list(names)})
    limit = 60 + 2 * SECONDS * len(names)  # of time on the wall: it might wait for something
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", _PROGRAM], input=order, capture_output=True, text=True,
            timeout=limit, check=False,
        )  # fmt: skip
        said, errors, code = child.stdout, child.stderr, child.returncode
    except subprocess.TimeoutExpired as late:
        said, errors, code = _text(late.stdout), "", 0
    checks = [_read(json.loads(line)) for line in said.splitlines() if line.startswith("{")]
    if code == REFUSED:
        raise PromptlibError(errors.strip().splitlines()[-1])
    reasons = {-24: f"took more than {SECONDS} s of the processor", 0: "didn't come to an end"}
    lines = errors.strip().splitlines() or [f"ended the process that checked it ({code})"]
    return checks, reasons.get(code, f"couldn't be checked: {lines[-1]}")


REFUSED = 77
"""The exit code of a child that can't limit itself."""


def serve() -> None:
    """Check templates as told on stdin, a line of JSON on stdout for each; the child's side."""
    order = json.load(sys.stdin)
    try:
        import resource
    except ImportError:
        print("templates can't be checked with limits on this system", file=sys.stderr)
        sys.exit(REFUSED)
    project = open_project(order["root"])
    for name in order["names"]:
        _limit(resource)
        try:
            (found,) = project.check(name)
        except MemoryError:
            message = f"took more than {MEGABYTES} MB of memory"
            found = TemplateCheck(name, (Problem("error", name, message),))
        print(json.dumps(found.to_dict()), flush=True)


def _limit(resource: Any) -> None:
    """Allow so much more time and memory than were used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # only Linux tells
        return
    memory = pages * resource.getpagesize() + MEGABYTES * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))


def _read(data: dict[str, Any]) -> TemplateCheck:
    room = data["room"]
    problems = tuple(Problem(**problem) for problem in data["problems"])
    unbounded = tuple(data["unbounded"])
    return TemplateCheck(data["name"], problems, unbounded, Room(**room) if room else None)


def _text(data: str | bytes | None) -> str:
    return data.decode() if isinstance(data, bytes) else data or ""
