"""Reading a hostile archive: as a stream, within limits, never unpacked, never repaired.

The kinds are told by content: a tar archive in one gzip member, or a zip archive. Everything that an archive can do
wrong is a ``Refusal`` with a code of its own that begins with ``bundle_``. All functions block; they are called from
threads.
"""

from eventserver.bundle.contents import check_listed_files, find_member, list_members, read_jobs
from eventserver.bundle.inspection import Format, Inspection, format_of, inspect, is_archive
from eventserver.bundle.limits import DEFAULT_LIMITS, Limits
from eventserver.bundle.manifest import MANIFEST, UPLOADED_PATH
from eventserver.bundle.members import Member
from eventserver.bundle.packing import pack_bundle

__all__ = [
    "DEFAULT_LIMITS",
    "MANIFEST",
    "UPLOADED_PATH",
    "Format",
    "Inspection",
    "Limits",
    "Member",
    "check_listed_files",
    "find_member",
    "format_of",
    "inspect",
    "is_archive",
    "list_members",
    "pack_bundle",
    "read_jobs",
]
