"""The outbox: events that are safe on the local disk, and on their way to somewhere else, in order.

::

    <directory>/
        lock                                who has it open
        events/<YYYY-MM-DD>/<n>.ndjson      what waits, one record a line (``backends.log``)
        progress.json                       how far it is delivered; may be deleted
        dead-letters/<YYYY-MM-DD>/<n>.ndjson    what was refused for good, and why

What is delivered is known by one position in the log. It is written down after the delivery, so a crash between the two
delivers again; the receiver knows an event by its uuid.
"""

from backends.outbox.dead_letters import DeadLetter, DeadLetters
from backends.outbox.outbox import Outbox, Waiting

__all__ = ["DeadLetter", "DeadLetters", "Outbox", "Waiting"]
