"""The process: binds the address, runs the application, and stops without losing a request that has begun."""

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from backends import hide_secrets
from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.web.connection import Connection
from eventserver.web.keys import COUNTERS, REGISTRY
from eventserver.web.routing import Dispatcher

make_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # uvloop has no build for some platforms
    import uvloop

    make_event_loop = uvloop.new_event_loop

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the 60 s after which installed clients close an idle connection: so they close first, and no request
crosses our closing."""
_DRAIN_INTERVAL: Final = 0.02
_CUT_SECONDS: Final = 1
"""For what is still in flight when the time for it is over: its tasks are cancelled, and end."""
_BACKLOG: Final = 1024
_READ_BYTES: Final = 64 * 1024
"""Of a body, beyond which no more is read until a handler asks; the framework's own figure is four times as much."""
_COLLECT_AFTER: Final = 20_000
"""New objects that outlive others before the youngest are collected."""

_log = structlog.get_logger("eventserver")


def serve(settings: Settings) -> None:
    """Run the server until SIGTERM or SIGINT, then finish what is in flight, sync, and return.

    A second signal ends the process at once; what was acknowledged is safe then too.

    Raises:
        OSError: the address can't be bound.
        StoreError: the data can't be opened; ``DirectoryInUse`` says who has it.
        SchemaError: there is no usable schema.

    """
    with _bind(settings) as listener, asyncio.Runner(loop_factory=make_event_loop) as runner:
        port = listener.getsockname()[1]
        runner.run(_run(settings.model_copy(update={"server_port": port}), listener))


def _bind(settings: Settings) -> socket.socket:
    """Bind, but don't listen yet: until the data is open a client is better refused than kept waiting."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.server_host, settings.server_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


async def _run(settings: Settings, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _begin_stop, stop)
    _raise_descriptor_limit()
    runner = web.AppRunner(make_app(settings), access_log=None, shutdown_timeout=_CUT_SECONDS)
    served = False
    try:
        if served := await _setup(runner, stop):
            await _listen(runner, settings, listener, stop)
    finally:
        await runner.cleanup()
    if served:
        _log.info("stopped")


async def _setup(runner: web.AppRunner, stop: asyncio.Event) -> bool:
    """Open everything, unless a stop comes first; tell whether it is open."""
    setup = asyncio.ensure_future(runner.setup())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((setup, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not setup.done():
        setup.cancel()
        with suppress(asyncio.CancelledError):
            await setup
        return False
    setup.result()
    return True


async def _listen(runner: web.AppRunner, settings: Settings, listener: socket.socket, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection_factory(runner, settings), sock=listener, backlog=_BACKLOG)
    assert runner.server is not None
    _calm_collector()
    _announce(settings, runner.app)
    await stop.wait()
    _log.info("stopping", connections=len(runner.server.connections))
    server.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(settings.event_shutdown_timeout_seconds):
            await drain(runner.server)


def connection_factory(runner: web.AppRunner, settings: Settings) -> Callable[[], Connection]:
    """Return what makes the protocol of each connection to a runner that is set up."""
    assert runner.server is not None
    runner.server.request_handler = Dispatcher(runner.app, runner.server.request_handler)
    return partial(
        Connection,
        runner.server,
        loop=asyncio.get_running_loop(),
        counters=runner.app[COUNTERS],
        head_seconds=settings.event_body_timeout_seconds,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        read_bufsize=_READ_BYTES,
        access_log=None,
    )


async def drain(server: web.Server) -> None:
    """Wait until each request that has begun is answered, and all connections are closed."""
    await asyncio.sleep(0)  # what was accepted in the last moment is made a connection
    while connections := server.connections:
        for connection in connections:
            assert isinstance(connection, Connection)
            connection.finish()
        await asyncio.sleep(_DRAIN_INTERVAL)


def _begin_stop(stop: asyncio.Event) -> None:
    stop.set()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


def _calm_collector() -> None:
    """Let the garbage collector leave alone what stays for good, and look at the rest less often.

    A request leaves no cycles behind; with the interpreter's thresholds the collector took 5 % of the time of a POST.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def _raise_descriptor_limit() -> None:
    """Allow as many connections as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _announce(settings: Settings, app: web.Application) -> None:
    for warning in settings.warnings:
        _log.warning("configuration", detail=warning)
    _log.info(
        "serving",
        url=f"http://{settings.server_host}:{settings.server_port}",
        store=hide_secrets(settings.event_store),
        root=str(settings.event_root_dir.resolve()),
        schemas=len(app[REGISTRY].validators),
    )
