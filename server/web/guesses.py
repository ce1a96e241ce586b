"""How often somebody may show a wrong token before he has to wait. Pure.

A token may be a word that people can remember, and a server answers thousands of requests a second: whoever
may try without end finds it. So a token is compared only for who has a try left, and the right one is no
exception: were it let in at once, a guesser would only have to look out for that. What keeps the owner from
being locked out is that others have tries of their own:

- Tries are counted for each address that calls; of IPv6 for each /64, since every machine has as many of
  those addresses as it likes. Only a wrong token costs a try, and the same wrong one only once: a script
  with an old token uses up nothing.
- All addresses together have tries, too, since one may call from many. Addresses that have shown the right
  token lately, and this machine itself, are not held to that.
- The login cookie holds what nobody can compute or guess: it is never counted, and lets in whoever else is
  guessing.

Behind a proxy, or on a unix socket, all who call have one address, and share its tries. What a proxy says in
`X-Forwarded-For` is not believed, as anybody can write it: where guessers are to be told apart there, it is
the proxy that must limit them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
import time
from collections import OrderedDict
from typing import TypeVar

from server.errors import TooManyError
from server.streaming.clock import Clock


# Wrong tokens that may be shown at once, and then within each minute.
PER_PEER = 10
IN_ALL = 100
WINDOW_S = 60.0
# Addresses that are remembered, and wrong tokens; what was noted longest ago is forgotten first.
MAX_PEERS = 1000
MAX_WRONG = 1000
# What the same machine has: IPv6 addresses are given out to networks of this size.
_IPV6_PREFIX = 64
# This machine, whatever its own address is called.
LOCAL = "local"

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Bucket:
    """Holds as many tries as may be made at once, and fills up again within `WINDOW_S`."""

    def __init__(self, tries: int, now_s: float) -> None:
        self._size = tries
        self._left = float(tries)
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long it takes until there is a try; 0 where there is one."""
        self._fill(now_s)
        return max(0.0, (1.0 - self._left) * WINDOW_S / self._size)

    def take(self, now_s: float) -> None:
        """Take a try, or what is left of one."""
        self._fill(now_s)
        self._left = max(0.0, self._left - 1.0)

    def _fill(self, now_s: float) -> None:
        self._left = min(float(self._size), self._left + (now_s - self._at_s) * self._size / WINDOW_S)
        self._at_s = now_s


class Guesses:
    """The tokens that were shown of late, and by whom."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._all = _Bucket(IN_ALL, clock())
        self._peers: OrderedDict[str, _Bucket] = OrderedDict()
        self._trusted: OrderedDict[str, None] = OrderedDict()  # have shown the right token
        # Digests: what was nearly right is nothing to keep in memory.
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._salt = secrets.token_bytes(16)

    def judge(self, address: str | None, shown: bytes, *, is_right: bool) -> bool:
        """Tell whether a token is right that somebody shows, if he may know that now.

        Args:
            address: Where he calls from; None on a unix socket.
            shown: The token.
            is_right: Whether it is right, as it was found in constant time.

        Raises:
            TooManyError: If his address, or all of them together, have shown too many wrong ones.
        """
        peer, now_s = peer_of(address), self._clock()
        digest = hashlib.blake2b(shown, key=self._salt, digest_size=16).digest()
        if digest in self._wrong:
            self._wrong.move_to_end(digest)
            return False
        self._check(peer, now_s)
        if is_right:
            _note(self._trusted, peer, None, MAX_PEERS)
            return True
        if peer not in self._trusted and peer != LOCAL:
            self._all.take(now_s)
        bucket = self._peers.get(peer) or _Bucket(PER_PEER, now_s)
        bucket.take(now_s)
        _note(self._peers, peer, bucket, MAX_PEERS)
        _note(self._wrong, digest, None, MAX_WRONG)
        return False

    def _check(self, peer: str, now_s: float) -> None:
        wait_s = 0.0 if peer in self._trusted or peer == LOCAL else self._all.wait_s(now_s)
        if peer in self._peers:
            wait_s = max(wait_s, self._peers[peer].wait_s(now_s))
        if wait_s > 0.0:
            raise TooManyError("too many wrong tokens", retry_after_s=math.ceil(wait_s))


def peer_of(address: str | None) -> str:
    """Return whose tries an address takes: its own, its network's, or this machine's."""
    try:
        # A zone, such as `%eth0`, says which of our interfaces it came in by.
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        # A unix socket: who may open it is on this machine.
        return LOCAL
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            network = ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False)
            return LOCAL if parsed.is_loopback else str(network)
        parsed = parsed.ipv4_mapped
    return LOCAL if parsed.is_loopback else str(parsed)


def _note(noted: OrderedDict[_Key, _Value], key: _Key, value: _Value, at_most: int) -> None:
    noted[key] = value
    noted.move_to_end(key)
    if len(noted) > at_most:
        noted.popitem(last=False)
