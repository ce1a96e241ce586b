"""A network's way to its device, in pieces so small that other models' steps hardly wait for one.

All is copied in the end: what no piece holds, such as a parameter of the network itself, goes with the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .components import weights_bytes


# A tenth to a fiftieth of a second from pageable memory: about as long as a step takes. SDXL's UNet has 5 GB.
MOST_BYTES = 128 << 20


def pieces(network: Any, most_bytes: int = MOST_BYTES) -> list[list[Any]]:
    """Cut a network into groups of modules, to be moved one after the other.

    Args:
        network: A torch module.
        most_bytes: What the parameters and buffers of a group take at most, unless it is one that cannot be
            cut: a module without children.

    Returns:
        One group or more; the last one of several is the network itself, of which little is left by then.
    """
    if weights_bytes(network) <= most_bytes:
        return [[network]]
    groups: list[list[Any]] = [[]]
    held_bytes = 0
    for module in _small(network, most_bytes):
        size_bytes = weights_bytes(module)
        if groups[-1] and held_bytes + size_bytes > most_bytes:
            groups.append([])
            held_bytes = 0
        groups[-1].append(module)
        held_bytes += size_bytes
    return [*groups, [network]]


def move(piece: list[Any], device: str, *, channels_last: bool = False) -> None:
    """Move the modules of a piece; what is there already stays as it is.

    Args:
        piece: One of `pieces`.
        device: Where to, as torch names it.
        channels_last: Whether images lie there colour by colour, as cuDNN's convolutions want in 16 bits.
    """
    for module in piece:
        module.to(device)
        if channels_last:
            module.to(memory_format=torch.channels_last)


def _small(module: Any, most_bytes: int) -> Iterator[Any]:
    children = list(module.children())
    if not children or weights_bytes(module) <= most_bytes:
        yield module
        return
    for child in children:
        yield from _small(child, most_bytes)
