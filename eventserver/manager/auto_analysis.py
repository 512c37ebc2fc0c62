"""``auto-analysis``: a job is posted to a job service, made of a template and the event.

Each place of the template becomes a JSON value of its own, so an event can't add anything to the job. The event's uuid
is sent as ``Idempotency-Key``: a job that is posted again after a lost answer can be told by it.
"""

import json
from collections.abc import Mapping

from backends.base import Event
from eventserver.manager.configuration import AutoAnalysisListener, Configured
from eventserver.manager.event_values import read_value
from eventserver.manager.http_sender import HttpSender
from eventserver.manager.sender import DeliveryRefused
from eventserver.manager.templates import MissingValue, fill_value


class AutoAnalysisSender(HttpSender):
    """See the module.

    Args:
        configured: the listener.

    """

    def __init__(self, configured: Configured) -> None:
        super().__init__(configured)
        assert isinstance(configured.listener, AutoAnalysisListener)
        self._job = configured.listener.job

    def make_request(self, event: Event) -> tuple[bytes, Mapping[str, str]]:
        """Return the job.

        Raises:
            DeliveryRefused: the event does not have what the template asks for, or JSON has no such number.

        """
        try:
            job = fill_value(self._job, read_value(event))
            body = json.dumps(job, ensure_ascii=False, allow_nan=False).encode()
        except (MissingValue, ValueError) as error:
            raise DeliveryRefused(f"no job can be made of it: {error}", "template") from error
        return body, {"Idempotency-Key": event.uuid}
