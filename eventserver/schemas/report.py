"""What was found in a directory of schemas, as values: for the log, for the command line, for a person."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How much a finding matters."""

    NOTE = "note"
    """Nothing to do."""
    WARNING = "warning"
    """Traffic is served, but not quite as the directory says."""
    ERROR = "error"
    """The file can't be used as it is."""


class Finding(NamedTuple):
    """One thing that is worth knowing about a file or a version."""

    severity: Severity
    subject: str
    """A file relative to the directory (``sl_job_metrics/1.json``), or the directory itself."""
    message: str
    """What was found and what would be right, in plain words."""

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.severity}: {self.subject}: {self.message}"


class Report(NamedTuple):
    """The outcome of a load, a reload or a check."""

    findings: tuple[Finding, ...]
    adopted: bool = False
    """Whether the set that was read is in force now."""

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep a file from being used."""
        return [finding for finding in self.findings if finding.severity is Severity.ERROR]

    @property
    def sound(self) -> bool:
        """Whether there is no error."""
        return not self.errors


class SchemaError(Exception):
    """Schemas that can't be used; ``findings`` says which and why."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Keep the findings and show them, one a line."""
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))
