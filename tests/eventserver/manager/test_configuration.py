"""The TOML file of the listeners: what it may say, and what is said about a wrong one."""

import pytest

from eventserver.config import ConfigurationError
from eventserver.manager.configuration import parse_listeners

HOOK = '[listeners.support]\ntype = "webhook"\nurl = "https://hooks.example.org/x"\n'


def test_smallest_webhook() -> None:
    """A webhook needs a URL and nothing else, and then takes every type."""
    listener = parse_listeners(HOOK, "it")["support"]
    assert listener.type == "webhook"
    assert listener.event_types == ("*",)


def test_empty_file() -> None:
    """A file without listeners is one."""
    assert parse_listeners("", "it") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "it is not TOML"),
        (HOOK + "nope = 1", "it: listeners.support.nope: Extra inputs are not permitted"),
        ('[listeners.support]\ntype = "command"', "listeners.support: Input tag 'command'"),
        (HOOK.replace("support", "Support"), "'Support' can't name a listener"),
        (HOOK.replace("https://", "https://me:pw@"), "no user and no password"),
        (HOOK.replace("https", "ftp"), "listeners.support.url: it should be a URL"),
        (HOOK + 'event_types = ["../x"]', "listeners.support.event_types.0: it should be an event type's id"),
        (HOOK + "condition = 'state == \"FAILED\"'", "state is not known; did you mean message.state?"),
        (HOOK + "condition = 'message.state =='", "listeners.support.condition: character 17"),
        (HOOK + 'secret = "hunter2"', "it should say where the secret is: env:"),
        (HOOK + "tries = 0", "greater than or equal to 1"),
        (HOOK.replace("webhook", "auto-analysis") + 'job = {name = "${nope}"}', "${nope} is not known"),
        (HOOK.replace("webhook", "auto-analysis") + 'job = {name = "a $ b"}', "or be written $$"),
    ],
)
def test_wrong_files(text: str, said: str) -> None:
    """A wrong file is refused with the place and what would be right; what may be a secret is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        parse_listeners(text, "it")
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


MAIL = """
[listeners.mail]
type = "email"
host = "smtp.example.org"
sender = "events@example.org"
recipients = ["support@example.org"]
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MAIL + 'username = "me"', "username and password go together"),
        (MAIL + 'username = "me"\npassword = "env:X"\ntls = "none"', "not sent over a connection without TLS"),
        (MAIL.replace('"support@example.org"', '"a@b, c@d"'), "it should be an address"),
    ],
)
def test_wrong_mails(text: str, said: str) -> None:
    """A mail listener that would give its password away, or whose addresses are none, is refused."""
    with pytest.raises(ConfigurationError, match=said):
        parse_listeners(text, "it")
