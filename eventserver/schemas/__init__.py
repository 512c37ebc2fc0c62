"""Schemas: which messages are valid, and how that may change. The only door to this package."""

from eventserver.schemas.check import check
from eventserver.schemas.compatibility import Verdict, compare
from eventserver.schemas.loading import SchemaVersion
from eventserver.schemas.registry import Candidate, SchemaRegistry
from eventserver.schemas.report import Finding, Report, SchemaError, Severity

__all__ = [
    "Candidate",
    "Finding",
    "Report",
    "SchemaError",
    "SchemaRegistry",
    "SchemaVersion",
    "Severity",
    "Verdict",
    "check",
    "compare",
]
