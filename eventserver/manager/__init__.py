"""The sending side of a server: events that are stored are handed on to listeners.

::

    configuration.py    the TOML file               filters.py, conditions.py   who takes what
"""

from eventserver.manager.configuration import Listener, read_listeners

__all__ = ["Listener", "read_listeners"]
