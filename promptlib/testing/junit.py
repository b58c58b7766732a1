"""Results of tests as JUnit's XML, which CI systems show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from promptlib.testing.checking import CaseResult

# What XML 1.0 has no way to write.
_CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(results: Sequence[CaseResult]) -> bytes:
    """Write results as one XML document, a suite for each template."""
    root = ElementTree.Element("testsuites", name="promptlib")
    for template in dict.fromkeys(result.template for result in results):
        mine = [result for result in results if result.template == template]
        suite = ElementTree.SubElement(
            root, "testsuite", name=_clean(template), tests=str(len(mine)),
            failures=_count(mine, "failed"), errors=_count(mine, "error"),
            skipped=_count(mine, "skipped"), time=f"{sum(r.seconds for r in mine):.3f}",
        )  # fmt: skip
        for result in mine:
            file, _, line = result.place.rpartition(":")
            case = ElementTree.SubElement(
                suite, "testcase", classname=_clean(template), name=_clean(result.case),
                file=file, line=line, time=f"{result.seconds:.3f}",
            )  # fmt: skip
            _add_problem(case, result)
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _add_problem(case: ElementTree.Element, result: CaseResult) -> None:
    if result.status == "skipped":
        ElementTree.SubElement(case, "skipped", message="no model was named")
    if result.skipped and result.status != "skipped":
        note = ElementTree.SubElement(case, "system-out")
        note.text = f"{result.skipped} assertions on the answer skipped: no model was named"
    if result.status in ("failed", "error"):
        tag = "failure" if result.status == "failed" else "error"
        first = _clean(result.problems[0]).split("\n")[0]
        node = ElementTree.SubElement(case, tag, message=first)
        node.text = _clean("\n".join(result.problems))


def _count(results: Sequence[CaseResult], status: str) -> str:
    return str(sum(result.status == status for result in results))


def _clean(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)
