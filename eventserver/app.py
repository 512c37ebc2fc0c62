"""The plan of the house, on one page: what the application consists of, in the order of its opening, and its routes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
from aiohttp import web

from backends.bundles import FileBundles
from backends.lock import DirectoryLock
from backends.quarantine import Quarantine
from backends.spool import Spool
from eventserver.bundle_intake import BundleIntake
from eventserver.bundle_retention import run_retention
from eventserver.config import Settings
from eventserver.counters import Counters
from eventserver.intake import Intake
from eventserver.manager import ListenedStore, ListenerFile, Listeners, OutboxLog, StoreLog, make_sender
from eventserver.schemas import Report, SchemaRegistry
from eventserver.storage import log_of, make_store
from eventserver.web import (
    batch,
    docs,
    events,
    files,
    health,
    listeners,
    lists,
    metrics,
    openapi,
    quarantine,
    schemas,
    status,
)
from eventserver.web.body_room import BodyRoom
from eventserver.web.keys import (
    ANSWER_ROOM,
    BODY_ROOM,
    BUNDLE_INTAKE,
    COUNTERS,
    INTAKE,
    LISTENER_FILE,
    LISTENERS,
    QUARANTINE,
    REGISTRY,
    SETTINGS,
    SPOOL,
    STORE,
)
from eventserver.web.routing import guarded

_log = structlog.get_logger("eventserver")


def make_app(settings: Settings) -> web.Application:
    """Make the application; it opens its data when it starts, and closes it when it is cleaned up.

    Starting raises ``SchemaError`` when no schema can be used, and the store's errors, such as ``DirectoryInUse``.
    """
    app = web.Application(client_max_size=settings.event_max_batch_bytes)
    app[SETTINGS] = settings
    app[COUNTERS] = Counters()
    app[BODY_ROOM] = BodyRoom()
    app[ANSWER_ROOM] = BodyRoom()
    app.cleanup_ctx.extend([_directory, _schemas, _quarantine, _store, _listeners, _intake, _bundles, _watches])
    parts = (status, health, metrics, events, lists, batch, files, schemas, quarantine, listeners, openapi, docs)
    app.add_routes(guarded([route for part in parts for route in part.routes()]))
    return app


async def _directory(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.server_host, settings.server_host)  # noqa: S104
    lock = DirectoryLock(settings.event_root_dir, f"pid {os.getpid()} at http://{host}:{settings.server_port}")
    await asyncio.to_thread(lock.__enter__)
    yield
    lock.__exit__(None, None, None)


async def _schemas(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    registry = SchemaRegistry(settings.event_schema_dir, kept=settings.event_root_dir / "schemas")
    _tell(await asyncio.to_thread(registry.load))
    app[REGISTRY] = registry
    yield


async def _quarantine(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    async with Quarantine(
        settings.event_root_dir / "quarantine",
        max_bytes=settings.event_quarantine_max_bytes,
        max_days=settings.event_quarantine_max_days,
    ) as app[QUARANTINE]:
        yield


async def _store(app: web.Application) -> AsyncIterator[None]:
    schemas = app[REGISTRY].schemas
    async with await make_store(app[SETTINGS], schemas=schemas, quarantine=app[QUARANTINE]) as store:
        await store.prepare(schemas)
        app[STORE] = store
        app[SPOOL] = store if isinstance(store, Spool) else None
        yield


async def _listeners(app: web.Application) -> AsyncIterator[None]:
    """Hand on what is stored, where a file says to whom."""
    app[LISTENERS] = app[LISTENER_FILE] = None
    path, store = app[SETTINGS].event_listeners, app[STORE]
    if path is None:
        yield
        return
    app[LISTENER_FILE] = file = ListenerFile(path)
    directory = app[SETTINGS].event_root_dir / "listeners"
    log = log_of(store)
    source = OutboxLog(directory / "outbox", store) if log is None else StoreLog(log)
    async with Listeners(directory, source, await file.load(), make_sender, store=store) as at_work:
        app[LISTENERS] = at_work
        app[STORE] = ListenedStore(store, at_work)
        yield


async def _intake(app: web.Application) -> AsyncIterator[None]:
    app[INTAKE] = Intake(
        store=app[STORE],
        registry=app[REGISTRY],
        quarantine=app[QUARANTINE],
        counters=app[COUNTERS],
        timeout=app[SETTINGS].event_store_timeout_seconds,
    )
    yield


async def _bundles(app: web.Application) -> AsyncIterator[None]:
    retention = app[SETTINGS].event_bundle_retention
    async with (
        FileBundles(app[SETTINGS].event_root_dir) as bundles,
        BundleIntake(intake=app[INTAKE], registry=app[REGISTRY], bundles=bundles) as app[BUNDLE_INTAKE],
    ):
        task = None
        if retention.max_age or retention.max_bytes:
            task = asyncio.create_task(run_retention(bundles, retention), name="bundle-retention")
            task.add_done_callback(_tell_defect)
        yield
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


async def _watches(app: web.Application) -> AsyncIterator[None]:
    """Let changed schemas and listeners take force: by polling, and at once by SIGHUP."""
    registry, prepare, seconds = app[REGISTRY], app[STORE].prepare, app[SETTINGS].event_schema_poll_seconds

    def told(report: Report) -> None:
        app[COUNTERS].reloads["adopted" if report.adopted else "refused"] += 1
        _tell(report)

    async def refresh_on(hangup: asyncio.Event) -> None:
        while await hangup.wait():
            hangup.clear()
            told(await registry.refresh(prepare))

    hangups = [asyncio.Event(), asyncio.Event()]
    watching = {
        "schema-poll": registry.watch(seconds, prepare=prepare, report=told),
        "schema-hangup": refresh_on(hangups[0]),
    }
    if (file := app[LISTENER_FILE]) is not None and (at_work := app[LISTENERS]) is not None:
        watching["listener-watch"] = file.watch(at_work, seconds, hangups[1])
    tasks = [asyncio.create_task(coroutine, name=name) for name, coroutine in watching.items()]
    for task in tasks:
        task.add_done_callback(_tell_defect)

    def hang_up() -> None:
        for hangup in hangups:
            hangup.set()

    with _hearing(signal.SIGHUP, hang_up):
        yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@contextmanager
def _hearing(number: signal.Signals, react: Callable[[], None]) -> Iterator[None]:
    """React to a signal, where signals can be heard: in a main thread."""
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, RuntimeError, ValueError):
        loop.add_signal_handler(number, react)
    yield
    with suppress(NotImplementedError, RuntimeError, ValueError):
        loop.remove_signal_handler(number)


def _tell_defect(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _log.error("defect", task=task.get_name(), exc_info=task.exception())


def _tell(report: Report) -> None:
    """Log what was found in the schemas."""
    for finding in report.findings:
        getattr(_log, {"note": "info"}.get(finding.severity, finding.severity))(
            "schema", file=finding.subject, finding=finding.message, adopted=report.adopted
        )
