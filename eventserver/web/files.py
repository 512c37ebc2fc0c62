"""Bundles over HTTP: take one, give its archive back, show what is in it."""

from aiohttp import web

from backends.base import Status
from backends.bundles import BundlePath
from eventserver.bundle import Member
from eventserver.bundle_event import path_in
from eventserver.refusal import Code, Refusal
from eventserver.web.connection import peer_of
from eventserver.web.documents import document
from eventserver.web.events import uuid_of
from eventserver.web.file_answers import open_archive, send_archive, send_member
from eventserver.web.keys import BUNDLE_INTAKE, SETTINGS, STORE
from eventserver.web.members import list_in_thread
from eventserver.web.responses import json_answer
from eventserver.web.uploads import held_back, read_upload

PATH = "/api/v1/files"


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.post(PATH, post_file),
        web.get(f"{PATH}/{{uuid:[^/]+}}", get_file),
        web.get(f"{PATH}/{{uuid:[^/]+}}/contents", get_contents),
        web.get(f"{PATH}/{{uuid:[^/]+}}/contents/{{path:.+}}", get_member),
    ]


async def post_file(request: web.Request) -> web.StreamResponse:
    """Take one bundle: 201 with its event when it is new, 200 when it is there already; durable before the answer."""
    with held_back(request):
        return await _take(request)


async def _take(request: web.Request) -> web.StreamResponse:
    settings, intake = request.app[SETTINGS], request.app[BUNDLE_INTAKE]
    async with intake.bundles.receive() as incoming:
        name = await read_upload(
            request,
            incoming,
            limit=settings.event_max_bundle_bytes,
            seconds=settings.event_upload_timeout_seconds,
            turns=intake.turns,
        )
        status, uuid, original = await intake.accept(incoming, name=name, peer=peer_of(request))
    code = 200 if status is Status.DUPLICATE else 201
    return json_answer(original, status=code, headers={"Location": f"{PATH}/{uuid}", "Event-Status": status})


async def get_file(request: web.Request) -> web.StreamResponse:
    """Give an archive back, or a range of it."""
    path = await _path_of(request)
    async with open_archive(request, path) as file:
        return await send_archive(request, path, file)


async def get_contents(request: web.Request) -> web.StreamResponse:
    """List the members of an archive."""
    async with open_archive(request, await _path_of(request)) as file:
        return document([_value(member) for member in await list_in_thread(request.app[BUNDLE_INTAKE], file)])


async def get_member(request: web.Request) -> web.StreamResponse:
    """Give one file of an archive."""
    async with open_archive(request, await _path_of(request)) as file:
        return await send_member(request, file, request.match_info["path"])


async def _path_of(request: web.Request) -> BundlePath:
    """Return where the archive of the event in the path is.

    Raises:
        Refusal: ``invalid_uuid``, ``not_found``.

    """
    uuid = uuid_of(request)
    record = await request.app[STORE].get(uuid)
    path = None if record is None else path_in(record)
    if path is None:
        raise Refusal(Code.NOT_FOUND, f"No bundle with uuid {uuid} is stored.")
    return path


def _value(member: Member) -> dict[str, object]:
    kind = "directory" if member.is_directory else "file"
    return {"path": member.path, "type": kind, "size": member.size, "modifiedAt": member.modified_at}
