"""The sending side: what is stored is handed on to listeners.

::

    store.put ─ listened_store ─ listeners ┬ subscription: reader ─ delivery ─ sender ─> a receiver
                                           ├ subscription: ...
                                           └ source: the store's own log, or an outbox beside a store elsewhere

    configuration, listener_file    the TOML file            filters, conditions    who takes what
    webhook, email_sender, auto_analysis    the receivers    positions              how far each is

``EventManager`` is the same for a program without a server: it publishes messages of a SMRT Link system.
"""

from eventserver.manager.configuration import Configured, Listener, load_listeners, read_listeners
from eventserver.manager.event_manager import EventManager, InvalidMessage
from eventserver.manager.listened_store import ListenedStore
from eventserver.manager.listener_file import ListenerFile
from eventserver.manager.listeners import Listeners
from eventserver.manager.senders import make_sender
from eventserver.manager.sources import OutboxLog, Source, StoreLog

__all__ = [
    "Configured",
    "EventManager",
    "InvalidMessage",
    "ListenedStore",
    "Listener",
    "ListenerFile",
    "Listeners",
    "OutboxLog",
    "Source",
    "StoreLog",
    "load_listeners",
    "make_sender",
    "read_listeners",
]
