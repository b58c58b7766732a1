"""Run the cases of templates: build each prompt, ask if a model is named, and check both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from promptlib.embedding.embedder import similarity_by
from promptlib.errors import ConfigError, PromptlibError, TemplateError
from promptlib.models.answer import Answer
from promptlib.models.asking import Asker
from promptlib.models.cache import AnswerCache
from promptlib.models.counting import ask_of
from promptlib.models.prices import Spending
from promptlib.project import Project
from promptlib.prompt import Prompt
from promptlib.testing.assertions import Subject
from promptlib.testing.snapshots import changes, read_snapshots, snapshot_path, write_snapshots
from promptlib.testing.suite import Case, Suite, find_suites, read_suite

Status = Literal["passed", "failed", "error", "skipped"]


@dataclass(frozen=True)
class CaseResult:
    """What came of one case."""

    template: str
    case: str
    place: str
    """Its file and line."""
    status: Status
    problems: tuple[str, ...]
    seconds: float
    skipped: int = 0
    """Assertions on answers that weren't checked, since no model was named."""
    answer: Answer | None = None
    """What the model said, where it was asked."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        answer = self.answer and self.answer.to_dict()
        return {**vars(self), "problems": list(self.problems), "answer": answer}


def run_tests(
    project: Project, *templates: str, model: str | None = None, update: bool = False,
    fresh: bool = False, max_cost: float | None = None, max_tokens: int | None = None,
) -> list[CaseResult]:  # fmt: skip
    """Run the cases of templates, or of all that have some; `update` takes snapshots anew.

    Without a model, named here or in the file of cases, assertions on answers are skipped. Raises
    TemplateError for files of cases that can't be read, before anything is asked.
    """
    folder = project.registry.files
    suites = [read_suite(folder, name) for name in templates or find_suites(folder)]
    cache, spending = AnswerCache(project.database), Spending(max_cost)
    askers: dict[str, Asker] = {}
    checkers = []
    for suite in suites:
        named = model or suite.model
        if named is not None and named not in askers:
            askers[named] = _asker(project, named, suite, cache, spending, fresh)
        asked = None if named is None else (named, askers[named], max_tokens)
        checkers.append(_Checker(project, suite, asked, update))
    return _all_run(checkers)


def _all_run(checkers: Sequence[_Checker]) -> list[CaseResult]:
    """Run all cases one after the other; Ctrl-C ends them, and says so of those left."""
    results: list[CaseResult] = []
    try:
        for checker in checkers:
            results.extend(map(checker.run, checker.cases))
            checker.keep_snapshots()
    except KeyboardInterrupt:
        cases = [(checker, case) for checker in checkers for case in checker.cases]
        results += [checker.interrupted(case) for checker, case in cases[len(results) :]]
    return results


def _asker(
    project: Project, name: str, suite: Suite, cache: AnswerCache, spending: Spending, fresh: bool
) -> Asker:
    try:
        return Asker(project.model(name), cache, spending=spending, fresh=fresh)
    except ConfigError as error:
        if suite.model == name:
            error.args = (f"{suite.path}: {error}",)
        raise


class _Checker:
    def __init__(
        self, project: Project, suite: Suite, asked: tuple[str, Asker, int | None] | None,
        update: bool,
    ) -> None:  # fmt: skip
        self._project = project
        self._suite = suite
        self._asked = asked
        self._update = update
        self._path = snapshot_path(suite.path)
        self._known = _known_snapshots(self._path, update)
        self._taken: dict[str, str] = {}

    @property
    def cases(self) -> Sequence[Case]:
        """All of its file."""
        return self._suite.cases

    def keep_snapshots(self) -> None:
        """Write those that were taken anew, once every case has run."""
        if self._update and self._taken != self._known:
            write_snapshots(self._path, self._taken)

    def interrupted(self, case: Case) -> CaseResult:
        """Give what came of a case that Ctrl-C left out."""
        return CaseResult(
            self._suite.template, case.name, self._place(case), "error", ("interrupted",), 0.0
        )

    def _place(self, case: Case) -> str:
        """Say where a case stands, from the project's folder on."""
        path, root = self._suite.path, self._project.root
        return f"{path.relative_to(root) if path.is_relative_to(root) else path}:{case.line}"

    def run(self, case: Case) -> CaseResult:
        """Build, ask and check one case; whatever is wrong with it is part of the result."""
        start = time.perf_counter()
        skipped, problems = 0, list[str]()
        answer: Answer | None = None
        status: Status = "passed"
        try:
            if case.prompt:
                problems = self._of_prompt(case, self._built(case))
            if case.answer and self._asked is not None:
                answer = self._answered(case, *self._asked)
                subject = self._subject(answer.text, answer.output_tokens)
                found = (assertion.problem(subject) for assertion in case.answer)
                problems += [f"the answer {problem}" for problem in found if problem]
            else:
                skipped = len(case.answer)
        except PromptlibError as error:
            status, problems = "error", [*problems, str(error)]
            if case.name in self._known:  # a prompt that can't be built keeps its snapshot
                self._taken[case.name] = self._known[case.name]
        if status == "passed" and problems:
            status = "failed"
        elif status == "passed" and skipped and not case.prompt:
            status = "skipped"
        place = self._place(case)
        passed = time.perf_counter() - start
        return CaseResult(
            self._suite.template, case.name, place, status, tuple(problems), passed, skipped, answer
        )

    def _built(self, case: Case, model: str | None = None) -> Prompt:
        """Build a case's prompt; what is asserted of prompts doesn't depend on who is asked."""
        options: Any = dict(case.spec.options)
        if model is not None:
            options["model"] = model
        return self._project.build(
            self._suite.template, inputs=case.spec.inputs, history=case.spec.history, **options
        )

    def _of_prompt(self, case: Case, prompt: Prompt) -> list[str]:
        subject = self._subject(prompt.text, prompt.tokens)
        found = (assertion.problem(subject) for assertion in case.prompt)
        problems = [f"the prompt {problem}" for problem in found if problem]
        if any(assertion.word == "snapshot" for assertion in case.prompt):
            self._taken[case.name] = prompt.text
            before = self._known.get(case.name)
            if before != prompt.text and not self._update:
                problems.append(
                    "the prompt has no snapshot yet: take it with promptlib test --update"
                    if before is None
                    else f"the prompt isn't as it was:\n{changes(before, prompt.text)}"
                )
        return problems

    def _answered(self, case: Case, model: str, asker: Asker, max_tokens: int | None) -> Answer:
        stop = self._project.template(self._suite.template).front.answer.stop
        prompt = self._built(case, model)
        return asker.ask(ask_of(prompt, asker.spec, stop=stop, max_tokens=max_tokens))

    def _subject(self, text: str, tokens: int) -> Subject:
        return Subject(text, tokens, self._suite.path.parent, similarity_by(self._project.embedder))


def _known_snapshots(path: Path, update: bool) -> dict[str, str]:
    """Read the snapshots that there are; those that are to be taken anew needn't be readable."""
    try:
        return read_snapshots(path)
    except TemplateError:
        if update:
            return {}
        raise


def failed(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Give those that didn't pass."""
    return [result for result in results if result.status in ("failed", "error")]
