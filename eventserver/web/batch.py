"""Many events in one request: a JSON array, or NDJSON that is read as it arrives."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from time import perf_counter
from typing import Any, Final

from aiohttp import web

from eventserver.batch import SLICE_SECONDS, Batch, Verdict
from eventserver.json_array import split_array, too_many_events
from eventserver.refusal import Refusal
from eventserver.web.bodies import NDJSON, read_chunks, require_json, whole_body
from eventserver.web.body_room import PART_OF_BATCHES
from eventserver.web.keys import BODY_ROOM, COUNTERS, INTAKE, SETTINGS
from eventserver.web.problem import answer
from eventserver.web.responses import json_answer

_VIOLATIONS_TOLD: Final = 2_000
"""In one answer; beyond them an invalid event has its code and its detail only."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [web.post("/api/v1/events/batch", post_batch)]


async def post_batch(request: web.Request) -> web.StreamResponse:
    """Take many events: 200 and a verdict for each, in order, whatever they are."""
    media_type = require_json(request, NDJSON)
    app = request.app
    settings = app[SETTINGS]
    app[COUNTERS].batches += 1
    peer = request.remote or ""
    batch = Batch(app[INTAKE], peer=peer, max_event_bytes=settings.event_max_event_bytes)
    if media_type == NDJSON:
        return await _take_lines(request, batch)
    seconds = settings.event_body_timeout_seconds
    limit = settings.event_max_batch_bytes
    async with whole_body(request, limit=limit, seconds=seconds, part=PART_OF_BATCHES) as body:
        try:
            events = await split_array(body, most=settings.event_max_batch_events)
        except Refusal as refusal:
            await app[INTAKE].refuse(body, refusal, peer=peer)
            raise
        await batch.add(events)
        return json_answer(await verdicts_document(await batch.finish()))


async def _take_lines(request: web.Request, batch: Batch) -> web.StreamResponse:
    """Take events as their lines arrive; what arrived whole is stored, whatever happens to the rest."""
    settings = request.app[SETTINGS]
    try:
        async with aclosing(_read_lines(request)) as arriving:
            async for lines in arriving:
                room = settings.event_max_batch_events - len(batch.verdicts)
                await batch.add(lines[:room])
                if len(lines) > room:
                    raise too_many_events(settings.event_max_batch_events)  # noqa: TRY301 - as a limit of bytes is
    except Exception as error:  # noqa: BLE001 - whatever it is, what was stored is told
        verdicts = await batch.finish()
        response = answer(request, error, request.app[COUNTERS])
        assert isinstance(response.body, bytes)
        response.body = b'%b,"verdicts":%b}' % (response.body[:-1], await verdicts_document(verdicts))
        return response
    return json_answer(await verdicts_document(await batch.finish()))


async def _read_lines(request: web.Request) -> AsyncGenerator[list[bytes], None]:
    """Yield the lines that each chunk completes, blank ones left out."""
    settings = request.app[SETTINGS]
    limit, seconds = settings.event_max_batch_bytes, settings.event_body_timeout_seconds
    rest: list[bytes] = []
    with request.app[BODY_ROOM].share(PART_OF_BATCHES) as take:
        async for chunk in read_chunks(request, limit=limit, seconds=seconds):
            take(len(chunk))
            if b"\n" not in chunk:
                rest.append(chunk)
                continue
            *lines, last = b"".join((*rest, chunk)).split(b"\n")
            rest = [last]
            yield [line for line in lines if line and not line.isspace()]
        last = b"".join(rest)
        if last and not last.isspace():
            yield [last]


async def verdicts_document(verdicts: Iterable[Verdict]) -> bytes:
    """Return the JSON array of ``{index, uuid, status, code?, detail?, errors?, retryable}``.

    The event loop is given back every 5 ms.
    """
    left = _VIOLATIONS_TOLD
    documents = []
    started = perf_counter()
    for index, verdict in enumerate(verdicts):
        if perf_counter() - started > SLICE_SECONDS:
            await asyncio.sleep(0)
            started = perf_counter()
        if verdict.code is None:
            documents.append(
                f'{{"index":{index},"uuid":"{verdict.uuid}","status":"{verdict.status}","retryable":false}}'
            )
            continue
        document: dict[str, Any] = {
            "index": index,
            "uuid": verdict.uuid,
            "status": verdict.status,
            "code": verdict.code,
        }
        if verdict.detail is not None:
            document["detail"] = verdict.detail[:300]
        if verdict.errors and left > 0:
            left -= len(verdict.errors)
            document["errors"] = [error._asdict() for error in verdict.errors]
        document["retryable"] = verdict.retryable
        documents.append(json.dumps(document, separators=(",", ":")))
    return f"[{','.join(documents)}]".encode("utf-8", "replace")
