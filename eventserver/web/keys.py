"""Everything that handlers find in the application, in one place."""

from typing import Final

from aiohttp import web

from backends.base import EventStore
from backends.quarantine import Quarantine
from backends.spool import Spool
from eventserver.bundle_intake import BundleIntake
from eventserver.config import Settings
from eventserver.counters import Counters
from eventserver.intake import Intake
from eventserver.manager import ListenerFile, Listeners
from eventserver.schemas import SchemaRegistry
from eventserver.web.body_room import BodyRoom

SETTINGS: Final = web.AppKey("settings", Settings)
COUNTERS: Final = web.AppKey("counters", Counters)
REGISTRY: Final = web.AppKey("registry", SchemaRegistry)
STORE: Final = web.AppKey("store", EventStore)
SPOOL: Final = web.AppKey[Spool | None]("spool")
LISTENERS: Final = web.AppKey[Listeners | None]("listeners")
LISTENER_FILE: Final = web.AppKey[ListenerFile | None]("listener_file")
QUARANTINE: Final = web.AppKey("quarantine", Quarantine)
BODY_ROOM: Final = web.AppKey("body_room", BodyRoom)
ANSWER_ROOM: Final = web.AppKey("answer_room", BodyRoom)
INTAKE: Final = web.AppKey("intake", Intake)
BUNDLE_INTAKE: Final = web.AppKey("bundle_intake", BundleIntake)
