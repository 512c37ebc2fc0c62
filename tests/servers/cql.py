"""As much of Cassandra's native protocol as it takes to execute a statement."""

import socket
import struct
from typing import Final

PROTOCOL: Final = 4
ERROR: Final = 0x00
STARTUP: Final = 0x01
QUERY: Final = 0x07
ONE: Final = 1
"""A consistency."""


class Refused(Exception):
    """The server refuses a statement; the text is what it says."""


def execute(host: str, port: int, statement: str, seconds: float) -> None:
    """Execute a statement on a connection of its own; each step may take `seconds`.

    Raises:
        Refused: the server refuses it.
        OSError: there was no answer.

    """
    with socket.create_connection((host, port), timeout=seconds) as connection:
        _request(connection, STARTUP, struct.pack("!H", 1) + _string("CQL_VERSION") + _string("3.0.0"))
        text = statement.encode()
        _request(connection, QUERY, struct.pack("!i", len(text)) + text + struct.pack("!HB", ONE, 0))


def _request(connection: socket.socket, operation: int, body: bytes) -> None:
    connection.sendall(struct.pack("!BBhBi", PROTOCOL, 0, 0, operation, len(body)) + body)
    _, _, _, answer, length = struct.unpack("!BBhBi", _read(connection, 9))
    told = _read(connection, length)
    if answer == ERROR:
        _, length = struct.unpack_from("!iH", told)
        raise Refused(told[6 : 6 + length].decode(errors="replace"))


def _read(connection: socket.socket, length: int) -> bytes:
    some = bytearray()
    while len(some) < length:
        more = connection.recv(length - len(some))
        if not more:
            raise ConnectionResetError("the connection was closed")
        some += more
    return bytes(some)


def _string(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()
