"""What a server says of a bundle, without a server; and the part of it that servers share."""

from typing import BinaryIO, Final
from uuid import NAMESPACE_OID, uuid5

from backends.bundles import make_path
from eventserver.bundle import DEFAULT_LIMITS, Inspection, Limits, check_listed_files, inspect, read_jobs
from eventserver.bundle_event import write_event
from eventserver.message import parse
from eventserver.refusal import Code, Refusal
from eventserver.schemas import SchemaRegistry

JOB_METRICS: Final = ("sl_job_metrics", 1)


def check_bundle(file: BinaryIO, registry: SchemaRegistry, limits: Limits = DEFAULT_LIMITS) -> Inspection:
    """Judge an archive as a server with these schemas does, and return what is in it; blocking.

    Raises:
        Refusal: why it would not be taken.

    """
    inspection = inspect(file, limits)
    # Any path will do: the archive is not kept under it.
    path = make_path(str(uuid5(NAMESPACE_OID, "")), "bundle.tgz")
    _, _, event_type_id, version, _, message, _ = parse(write_event(inspection, path))
    is_valid = registry.validators.get((event_type_id, version))
    if is_valid is None or not is_valid(message):
        raise registry.explain(event_type_id, version, message)
    check_listed_files(file, inspection, limits)
    check_jobs(file, inspection, registry, limits)
    return inspection


def check_jobs(file: BinaryIO, inspection: Inspection, registry: SchemaRegistry, limits: Limits) -> None:
    """Hold the messages in the file that ``jobsJson`` names against the schema of ``sl_job_metrics``; blocking.

    Raises:
        Refusal: ``bundle_file_missing``, ``bundle_jobs_invalid``, ``schema_violation``.

    """
    jobs = read_jobs(file, inspection, limits)
    is_valid = registry.validators.get(JOB_METRICS)
    for number, job in enumerate(jobs or ()):
        if is_valid is not None and not is_valid(job):
            why = registry.explain(*JOB_METRICS, job)
            refusal = Refusal(Code.SCHEMA_VIOLATION, f"Entry {number} of jobsJson: {why.detail}", why.errors)
            refusal.event_type = (inspection.fields["bundleTypeId"], inspection.fields["bundleTypeVersion"])
            raise refusal
