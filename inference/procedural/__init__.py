"""A painter in NumPy that follows the words of a prompt: deterministic, smooth in time, and honest.

It is no neural network. It paints from a vocabulary (`vocabulary`) into scenes (`scene`, `places`)
that are baked once and lit, clouded and rippled for every moment anew.
"""

from __future__ import annotations

from .engine import ProceduralEngine


__all__ = ["ProceduralEngine"]
