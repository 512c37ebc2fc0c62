"""Ports for servers that are killed and come back to the same one."""

import random
import socket


def free_port() -> int:
    """Return a port that is free now.

    None that the kernel gives to outgoing connections: while the server is away, a client that tries to reach it could
    be given the very port as its own, and be connected with itself.
    """
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
