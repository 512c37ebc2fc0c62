"""To which addresses a listener may send: public ones, and what its configuration allows.

A name is resolved once for each connection, what it resolves to is judged, and that very address is connected to: a
name that resolves to another address a moment later (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_IPV4_BITS: Final = 0xFFFFFFFF


class AddressRefused(OSError):
    """All that a name resolves to is neither public nor allowed."""


class GuardedResolver(AbstractResolver):
    """Resolves names to addresses that may be connected to, and to no others.

    Args:
        allowed: networks that need not be public.
        resolver: looks names up.

    """

    def __init__(self, allowed: Sequence[Network], resolver: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name.

        Raises:
            OSError: there is no such name, or (``AddressRefused``) none of its addresses may be connected to.

        """
        found = await self._resolver.resolve(host, port, family)
        usable = [result for result in found if is_allowed(result["host"], self._allowed)]
        if not usable:
            raise AddressRefused(refusal_of(host, [result["host"] for result in found]))
        return usable

    async def close(self) -> None:
        """Release what is below."""
        await self._resolver.close()


def require_allowed(host: str, allowed: Sequence[Network]) -> None:
    """Judge a host that is an address already, and so is never resolved.

    Raises:
        AddressRefused: it is neither public nor allowed.

    """
    try:
        ip_address(host)
    except ValueError:
        return
    if not is_allowed(host, allowed):
        raise AddressRefused(refusal_of(host, [host]))


def is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    """Tell whether an address may be connected to."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(ip)
    if any(one in network for network in allowed for one in (ip, inner)):
        return True
    return all(one.is_global and not one.is_multicast for one in (ip, inner)) or _is_public_inside(ip, inner)


def refusal_of(host: str, addresses: Sequence[str]) -> str:
    """Return the sentence of a refusal."""
    what = f"{host} is" if addresses == [host] else f"{host} resolves to {', '.join(addresses) or 'nothing'}, which is"
    return f"{what} no public address; allowed_networks may allow it"


def _inner(ip: Address) -> Address:
    """Return the IPv4 address inside an IPv6 address that stands for one; else the address."""
    if isinstance(ip, IPv4Address):
        return ip
    teredo = ip.teredo
    if teredo is not None:
        return teredo[1]
    if ip in _TRANSLATED:
        return IPv4Address(int(ip) & _IPV4_BITS)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _is_public_inside(ip: Address, inner: Address) -> bool:
    """Tell whether it is an IPv4 address written in IPv6, and public as such."""
    written = isinstance(ip, IPv6Address) and (ip.ipv4_mapped is not None or ip in _TRANSLATED)
    return written and inner.is_global and not inner.is_multicast
