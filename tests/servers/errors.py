"""What keeps a real server from being there."""


class NoServer(Exception):
    """There is no server to test against; the text says what is missing or what went wrong."""
