"""Everything that handlers find in the application, in one place."""

from typing import Final

from aiohttp import web

from backends.base import EventStore
from eventserver.config import Settings
from eventserver.counters import Counters

SETTINGS: Final = web.AppKey("settings", Settings)
COUNTERS: Final = web.AppKey("counters", Counters)
STORE: Final = web.AppKey("store", EventStore)
