"""Keys, passwords and tokens that stand in rows; they are never shown whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from promptlib.audit.finding import Finding, Item, ranked
from promptlib.audit.rows import AuditRows
from promptlib.errors import MissingDependencyError

# Without the detectors of random-looking text: ids and hashes aren't secrets.
DETECTORS = (
    "AWSKeyDetector", "ArtifactoryDetector", "AzureStorageKeyDetector", "BasicAuthDetector",
    "CloudantDetector", "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector",
    "IbmCloudIamDetector", "IbmCosHmacDetector", "JwtTokenDetector", "KeywordDetector",
    "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector",
    "SendGridDetector", "SlackDetector", "SoftlayerDetector", "SquareOAuthDetector",
    "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip

PATTERNS = {
    "Anthropic key": re.compile(r"\bsk-ant-[\w-]{20,}"),
    "OpenAI key": re.compile(r"\bsk-(?!ant-)(?:proj-)?[A-Za-z0-9_-]{32,}"),
    "Google key": re.compile(r"\bAIza[\w-]{35}"),
    "password": re.compile(
        r"\bpassword(?:\s*[:=]\s*(\S{6,})|\s+is\s+((?=\S*\d)\S{6,}))", re.IGNORECASE
    ),
}
"""What detect-secrets doesn't know yet, and how people write passwords to each other."""


def secrets(rows: AuditRows) -> Finding:
    """Find secrets in inputs and outputs (by detect-secrets), and show none of them."""
    items = []
    with _detectors():
        for row, example in enumerate(rows.examples):
            found = list(_found(f"{rows.inputs[row]}\n{rows.outputs[row]}"))
            if not found:
                continue
            told = ", ".join(f"{kind} {masked(value)}" for kind, value in dict(found).items())
            aside = rows.aside(row)
            items.append(Item([example.id], told, len(found), aside, "set aside, and purge"))
    ids = " ".join(id for item in items[:3] for id in item.ids)
    return Finding(
        "secrets", "Keys, passwords and tokens",
        "every prompt that shows the row sends them to the model's provider", "error",
        ranked(items), "sets them aside as drafts; the log still has them: only purge destroys",
        f"promptlib store purge {rows.store} {ids}" if ids else "",
    )  # fmt: skip


def masked(value: str) -> str:
    """Show enough of a secret to know it again, and no more."""
    return f"{value[:4]}{'*' * 8}" if len(value) >= 12 else "*" * 8


@contextmanager
def _detectors() -> Iterator[None]:
    try:
        from detect_secrets.settings import transient_settings
    except ImportError:
        raise MissingDependencyError("secrets in texts", "audit") from None
    with transient_settings({"plugins_used": [{"name": name} for name in DETECTORS]}):
        yield


def _found(text: str) -> Iterator[tuple[str, str]]:
    from detect_secrets.core.scan import scan_line

    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            yield kind, match[match.lastindex or 0]
    for line in text.splitlines():
        for secret in scan_line(line):
            yield secret.type, secret.secret_value or ""
