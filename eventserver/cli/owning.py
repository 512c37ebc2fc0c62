"""The data directory as a command's own, where no server runs: what a server opens, without its HTTP."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from backends.bundles import open_bundles
from backends.lock import DirectoryLock
from backends.quarantine import Quarantine
from eventserver.bundle_intake import BundleIntake
from eventserver.cli.invocation import AskedWrongly
from eventserver.config import Settings
from eventserver.counters import Counters
from eventserver.intake import Intake
from eventserver.schemas import SchemaError, SchemaRegistry
from eventserver.storage import make_store


class OwnDirectory(NamedTuple):
    """What a command works with."""

    intake: Intake
    quarantine: Quarantine
    bundles: BundleIntake


@asynccontextmanager
async def own_directory(settings: Settings, purpose: str) -> AsyncIterator[OwnDirectory]:
    """Take the lock and open everything that takes events, for the time of the block.

    Args:
        settings: as for the server.
        purpose: what the command is, for whoever finds the directory in use.

    Raises:
        DirectoryInUse: a server, or another command, has it.
        AskedWrongly: there is no schema that can be used.
        StoreError: it can't be opened.

    """
    root = settings.event_root_dir
    async with AsyncExitStack() as stack:
        stack.enter_context(DirectoryLock(root, f"pid {os.getpid()}, {purpose}"))
        registry = SchemaRegistry(settings.event_schema_dir, kept=root / "schemas")
        try:
            await asyncio.to_thread(registry.load)
        except SchemaError as error:
            raise AskedWrongly(str(error)) from error
        quarantine = await stack.enter_async_context(
            Quarantine(
                root / "quarantine",
                max_bytes=settings.event_quarantine_max_bytes,
                max_days=settings.event_quarantine_max_days,
            )
        )
        made = await make_store(settings, schemas=registry.schemas, quarantine=quarantine)
        store = await stack.enter_async_context(made)
        await store.prepare(registry.schemas)
        intake = Intake(
            store=store,
            registry=registry,
            quarantine=quarantine,
            counters=Counters(),
            timeout=settings.event_store_timeout_seconds,
        )
        archives = await stack.enter_async_context(open_bundles(settings.event_bundle_store, root=root))
        bundles = await stack.enter_async_context(BundleIntake(intake=intake, registry=registry, bundles=archives))
        yield OwnDirectory(intake, quarantine, bundles)
