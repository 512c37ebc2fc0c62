"""Which sender a listener has; its module is imported when there is one."""

from eventserver.manager.configuration import Configured
from eventserver.manager.sender import Sender


def make_sender(name: str, configured: Configured) -> Sender:  # noqa: ARG001 - others tell listeners apart by it
    """Make the sender of a listener; nothing is opened."""
    match configured.listener.type:
        case "webhook":
            from eventserver.manager.webhook import WebhookSender  # noqa: PLC0415

            return WebhookSender(configured)
        case "auto-analysis":
            from eventserver.manager.auto_analysis import AutoAnalysisSender  # noqa: PLC0415

            return AutoAnalysisSender(configured)
        case "email":
            from eventserver.manager.email_sender import EmailSender  # noqa: PLC0415

            return EmailSender(configured)
