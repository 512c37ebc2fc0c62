"""The schemas in force, and how others take their place while traffic goes on."""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from backends.disk import Disk
from backends.errors import StoreError
from eventserver.refusal import Code, Refusal, Violation
from eventserver.schemas.explain import Explainer
from eventserver.schemas.kept import Kept, KeptSchemas
from eventserver.schemas.loading import Loaded, SchemaVersion, load
from eventserver.schemas.report import Finding, Report, SchemaError, Severity
from eventserver.schemas.source import read_directory
from eventserver.schemas.succession import Key, file_of, succeed
from eventserver.schemas.wording import listed, shown

Prepare = Callable[[Mapping[Key, Mapping[str, Any]]], Awaitable[None]]
"""Makes the store ready for schemas: ``EventStore.prepare``."""
PREPARE_SECONDS = 60.0
_LONGEST_TYPE = 100


class Candidate(NamedTuple):
    """A set of schemas that could take force: sound, and wider than what is in force or equal to it."""

    versions: Mapping[Key, SchemaVersion]
    findings: tuple[Finding, ...]

    @property
    def schemas(self) -> dict[Key, dict[str, Any]]:
        """The JSON Schemas, without references."""
        return {key: version.schema for key, version in self.versions.items()}


class SchemaRegistry:
    """The schemas of a directory, of which a published version never narrows.

    What is in force is replaced as a whole: whoever looks sees one set or the other. ``validators`` is for the hot
    path; everything else may be called from any thread, and what says so blocks.

    Attributes:
        validators: by event type id and version the function that judges a message (``compile_schema``).
        versions: by event type id and version all that is known of it.

    """

    def __init__(self, directory: Path, *, kept: Path | None = None, disk: Disk | None = None) -> None:
        """Name the directories; nothing is read before ``load``.

        Args:
            directory: ``<eventTypeId>/<version>.json`` with ``<version>.examples.json`` beside it.
            kept: where the texts that were in force are kept; None keeps them in memory only.
            disk: how kept texts are written.

        """
        self.validators: Mapping[Key, Callable[[Any], bool]] = {}
        self.versions: Mapping[Key, SchemaVersion] = {}
        self._explainers: Mapping[Key, Explainer] = {}
        self._directory = directory
        self._kept = KeptSchemas(kept, disk=disk) if kept else None
        self._durable: dict[Key, int] = {}
        self._revisions: dict[Key, int] = {}
        self._seen = ""
        self._lock = asyncio.Lock()

    @property
    def schemas(self) -> dict[Key, dict[str, Any]]:
        """The JSON Schemas in force, without references."""
        return {key: version.schema for key, version in self.versions.items()}

    @property
    def examples(self) -> dict[Key, dict[str, Any]]:
        """The examples of each version in force: ``{"valid": [...], "invalid": [{"message", "why"}, ...]}``."""
        return {key: version.examples for key, version in self.versions.items()}

    def load(self) -> Report:
        """Read the directory and what was kept, and serve all that can be served; blocking.

        Where a file can't be used, narrows or is missing, the text that was in force before is served, if one was kept.
        The report says all of that.

        Raises:
            SchemaError: nothing at all can be served.

        """
        kept = self._kept.read() if self._kept else Kept({}, {}, [])
        try:
            snapshot = read_directory(self._directory)
            loaded, self._seen = load(snapshot), snapshot.digest
        except SchemaError as error:
            loaded, self._seen = Loaded({}, list(error.findings), set(kept.versions)), str(error)
        self._revisions = kept.revisions
        self._durable = {key: version.revision for key, version in kept.versions.items()}
        succession = succeed(kept.versions, loaded, kept.revisions)
        findings = (*kept.findings, *succession.findings)
        if not succession.versions:
            nothing = Finding(Severity.ERROR, str(self._directory), "holds no schema that can be served")
            raise SchemaError([*findings, nothing])
        return self.adopt(Candidate(succession.versions, findings))

    def read(self) -> Candidate:
        """Read the directory again, and return what would follow on the set in force; blocking.

        Raises:
            SchemaError: a file is bad or would narrow a version; the set in force stays.

        """
        try:
            snapshot = read_directory(self._directory)
        except SchemaError as error:
            self._seen = str(error)
            raise
        self._seen = snapshot.digest
        succession = succeed(self.versions, load(snapshot), self._revisions)
        if errors := [finding for finding in succession.findings if finding.severity is Severity.ERROR]:
            raise SchemaError(errors)
        return Candidate(succession.versions, tuple(succession.findings))

    def adopt(self, candidate: Candidate) -> Report:
        """Keep the texts of a candidate durably, then let it take force; blocking.

        Texts that can't be kept (a full or read-only disk) are served all the same and tried again by ``watch``; the
        report warns: until they are kept, a restart would not notice that they narrow.
        """
        warnings = self._keep(candidate.versions)
        self._revisions = {
            key: max(version.revision, self._revisions.get(key, 0)) for key, version in candidate.versions.items()
        }
        self._explainers = {key: Explainer(version.schema) for key, version in candidate.versions.items()}
        self.versions = candidate.versions
        self.validators = {key: version.is_valid for key, version in candidate.versions.items()}
        return Report((*candidate.findings, *warnings), adopted=True)

    def reload(self) -> Report:
        """Read the directory again and let it take force, or leave everything as it is and say why; blocking."""
        try:
            return self.adopt(self.read())
        except SchemaError as error:
            return Report(error.findings)

    async def refresh(self, prepare: Prepare | None = None) -> Report:
        """Reload off the event loop, with the store made ready before the new set takes force; one at a time.

        Args:
            prepare: is given 60 seconds; when it fails, the set in force stays and ``watch`` tries again.

        """
        async with self._lock:
            try:
                candidate = await asyncio.to_thread(self.read)
            except SchemaError as error:
                return Report(error.findings)
            try:
                if prepare is not None:
                    async with asyncio.timeout(PREPARE_SECONDS):
                        await prepare(candidate.schemas)
            except (StoreError, TimeoutError) as error:
                self._seen = ""
                message = f"the store could not be made ready, so the old set stays: {str(error) or 'it took too long'}"
                return Report((Finding(Severity.ERROR, str(self._directory), message),))
            return await asyncio.to_thread(self.adopt, candidate)

    async def watch(
        self, interval: float, *, prepare: Prepare | None = None, report: Callable[[Report], None] | None = None
    ) -> None:
        """Refresh whenever the directory's content has changed, until cancelled.

        Content is compared, not file events or times: bind mounts and ConfigMap swaps give none. A content that was
        refused is not tried again before it changes.

        Args:
            interval: seconds between two looks.
            prepare: as for ``refresh``.
            report: is called on the event loop with what came of each change.

        """
        while True:
            await asyncio.sleep(interval)
            outcome = await self._look(prepare)
            if outcome is not None and report is not None:
                report(outcome)

    def explain(self, event_type_id: str, version: int, message: Any) -> Refusal:
        """Say why an event is refused for its type, its version or its message; blocking, never raises.

        Args:
            event_type_id: as sent, of any length.
            version: as sent.
            message: as for ``compile_schema``.

        Returns:
            ``unknown_event_type``, or ``schema_violation`` with at most 20 errors, their pointers below ``/message``.

        """
        explainer = self._explainers.get((event_type_id, version))
        if explainer is None:
            return self._unknown(event_type_id, version)
        errors = explainer.violations(message, "/message")
        name = f"{event_type_id} version {version}"
        if not errors:
            return Refusal(
                Code.SCHEMA_VIOLATION, f"The message did not fit {name}, which has changed meanwhile; send it again."
            )
        first = f"{errors[0].pointer}: {errors[0].message}"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return Refusal(Code.SCHEMA_VIOLATION, f"The message does not fit {name}. {first}{more}", errors)

    def _unknown(self, event_type_id: str, version: int) -> Refusal:
        """Say which types or versions there are."""
        known = sorted(number for name, number in self.versions if name == event_type_id)
        if known:
            detail = f"There is no version {shown(version)} of {event_type_id}; known are {listed(known)}."
            return Refusal(Code.UNKNOWN_EVENT_TYPE, detail, [Violation("/eventTypeVersion", detail)])
        names = sorted({name for name, _ in self.versions})
        nearest = difflib.get_close_matches(event_type_id[:_LONGEST_TYPE], names)
        hint = f"did you mean {listed(nearest)}?" if nearest else f"known are {listed(names)}."
        detail = f"There is no event type {shown(event_type_id)}; {hint}"
        return Refusal(Code.UNKNOWN_EVENT_TYPE, detail, [Violation("/eventTypeId", detail)])

    async def _look(self, prepare: Prepare | None) -> Report | None:
        """Refresh if the content has changed; else keep what could not be kept before. None when nothing came of it."""
        if await asyncio.to_thread(self._changed):
            return await self.refresh(prepare)
        if self._unkept(self.versions) and not await asyncio.to_thread(self._keep, self.versions):
            return Report((Finding(Severity.NOTE, "the kept schemas", "could be written again; all are kept now"),))
        return None

    def _changed(self) -> bool:
        """Tell whether the directory's content is another one than that last read."""
        try:
            return read_directory(self._directory).digest != self._seen
        except SchemaError as error:
            return str(error) != self._seen

    def _unkept(self, versions: Mapping[Key, SchemaVersion]) -> list[SchemaVersion]:
        """Return the versions whose text is not known to be durable."""
        if self._kept is None:
            return []
        return [version for key, version in versions.items() if self._durable.get(key) != version.revision]

    def _keep(self, versions: Mapping[Key, SchemaVersion]) -> list[Finding]:
        """Keep all texts that are not kept yet; return what could not be."""
        warnings = []
        for version in self._unkept(versions):
            key = (version.event_type_id, version.version)
            try:
                if self._kept is not None:
                    self._kept.keep(version)
                self._durable[key] = version.revision
            except OSError as error:
                message = f"revision {version.revision} is served, but its text could not be kept: {error.strerror}"
                warnings.append(Finding(Severity.WARNING, file_of(key), message))
        return warnings
