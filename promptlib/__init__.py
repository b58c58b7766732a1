"""promptlib: prompts with the best few-shot examples that fit.

>>> import promptlib
>>> project = promptlib.open(".")
>>> prompt = project.build("banking/intent", "my card was stolen")

Everything public is listed here and loaded when it is first used.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from promptlib.version import __version__ as __version__

if TYPE_CHECKING:
    from promptlib.advice.profile import Profile as Profile
    from promptlib.advice.session import Advice as Advice
    from promptlib.advice.session import advise as advise
    from promptlib.asof import project_at as project_at
    from promptlib.audit.auditing import audit_store as audit_store
    from promptlib.audit.fixing import plan_fix as plan_fix
    from promptlib.budget.fit import fit_examples as fit_examples
    from promptlib.budget.tokens import TokenCounter as TokenCounter
    from promptlib.embedding.embedder import Embedder as Embedder
    from promptlib.errors import BadExamplesError as BadExamplesError
    from promptlib.errors import BudgetError as BudgetError
    from promptlib.errors import BundleError as BundleError
    from promptlib.errors import ConfigError as ConfigError
    from promptlib.errors import ConflictError as ConflictError
    from promptlib.errors import EmbedderError as EmbedderError
    from promptlib.errors import EncodingError as EncodingError
    from promptlib.errors import ExampleError as ExampleError
    from promptlib.errors import ExampleNotFoundError as ExampleNotFoundError
    from promptlib.errors import ExportError as ExportError
    from promptlib.errors import InputsError as InputsError
    from promptlib.errors import MissingDependencyError as MissingDependencyError
    from promptlib.errors import ModelError as ModelError
    from promptlib.errors import ModelNotFoundError as ModelNotFoundError
    from promptlib.errors import PromptlibError as PromptlibError
    from promptlib.errors import ProviderError as ProviderError
    from promptlib.errors import ReadOnlyError as ReadOnlyError
    from promptlib.errors import ReplayError as ReplayError
    from promptlib.errors import SpendingError as SpendingError
    from promptlib.errors import StaleIndexError as StaleIndexError
    from promptlib.errors import StoreError as StoreError
    from promptlib.errors import StoreNotFoundError as StoreNotFoundError
    from promptlib.errors import TemplateError as TemplateError
    from promptlib.errors import TemplateNotFoundError as TemplateNotFoundError
    from promptlib.errors import TemplateSyntaxError as TemplateSyntaxError
    from promptlib.errors import TooFewExamplesError as TooFewExamplesError
    from promptlib.evaluation.session import QuerySource as QuerySource
    from promptlib.evaluation.session import evaluate as evaluate
    from promptlib.evaluation.tuning import tune as tune
    from promptlib.example import Example as Example
    from promptlib.experiment.asking import Limits as Limits
    from promptlib.experiment.bootstrapping import bootstrap_examples as bootstrap_examples
    from promptlib.experiment.examining import examine as examine
    from promptlib.experiment.results import Experiment as Experiment
    from promptlib.experiment.tuning import tune_with_model as tune_with_model
    from promptlib.filtering import Where as Where
    from promptlib.finetune.classifier import Classifier as Classifier
    from promptlib.finetune.classifier import train_classifier as train_classifier
    from promptlib.finetune.export import ExportOptions as ExportOptions
    from promptlib.finetune.export import export_rows as export_rows
    from promptlib.index.vector import ExampleIndex as ExampleIndex
    from promptlib.models.answer import Answer as Answer
    from promptlib.models.opening import open_model as open_model
    from promptlib.opening import open_project
    from promptlib.project import Project as Project
    from promptlib.prompt import Prompt as Prompt
    from promptlib.retrieval import Hit as Hit
    from promptlib.running import Run as Run
    from promptlib.running import run_prompt as run_prompt
    from promptlib.selection.pool import Pool as Pool
    from promptlib.selection.strategies import select_examples as select_examples
    from promptlib.store.planning import Edit as Edit
    from promptlib.store.store import ExampleStore as ExampleStore
    from promptlib.templating.registry import TemplateRegistry as TemplateRegistry
    from promptlib.templating.template import Template as Template
    from promptlib.testing.checking import run_tests as run_tests

    open = open_project

_ERRORS = (
    "BadExamplesError", "BudgetError", "BundleError", "ConfigError", "ConflictError",
    "EmbedderError",
    "EncodingError", "ExampleError", "ExampleNotFoundError", "ExportError", "InputsError",
    "MissingDependencyError", "ModelError", "ModelNotFoundError", "PromptlibError", "ProviderError",
    "ReadOnlyError", "ReplayError", "SpendingError", "StaleIndexError", "StoreError",
    "StoreNotFoundError",
    "TemplateError", "TemplateNotFoundError", "TemplateSyntaxError", "TooFewExamplesError",
)  # fmt: skip

_HOMES = {
    "Limits": "experiment.asking",
    "audit_store": "audit.auditing",
    "plan_fix": "audit.fixing",
    "project_at": "asof",
    "bootstrap_examples": "experiment.bootstrapping",
    "examine": "experiment.examining",
    "Experiment": "experiment.results",
    "tune_with_model": "experiment.tuning",
    "Answer": "models.answer",
    "open_model": "models.opening",
    "Run": "running",
    "run_prompt": "running",
    "run_tests": "testing.checking",
    "Advice": "advice.session",
    "Classifier": "finetune.classifier",
    "Embedder": "embedding.embedder",
    "Example": "example",
    "ExampleIndex": "index.vector",
    "Edit": "store.planning",
    "ExampleStore": "store.store",
    "ExportOptions": "finetune.export",
    "Hit": "retrieval",
    "Pool": "selection.pool",
    "Profile": "advice.profile",
    "Project": "project",
    "Prompt": "prompt",
    "QuerySource": "evaluation.session",
    "Template": "templating.template",
    "TemplateRegistry": "templating.registry",
    "TokenCounter": "budget.tokens",
    "Where": "filtering",
    "advise": "advice.session",
    "evaluate": "evaluation.session",
    "export_rows": "finetune.export",
    "fit_examples": "budget.fit",
    "open": "opening",
    "select_examples": "selection.strategies",
    "train_classifier": "finetune.classifier",
    "tune": "evaluation.tuning",
} | dict.fromkeys(_ERRORS, "errors")

__all__ = sorted(["__version__", *_HOMES])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'promptlib' has no attribute {name!r}")
    module = _import_module(f"promptlib.{_HOMES[name]}")
    value = getattr(module, "open_project" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
