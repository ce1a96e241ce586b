"""The painter as a model of the house: it needs no weights and is always there."""

from __future__ import annotations

from inference.engine import Engine
from inference.models.entry import CatalogueEntry, Weights


class PainterLoader:
    """Makes the procedural engine, for the family "procedural"."""

    def load(self, entry: CatalogueEntry, weights: Weights) -> Engine:
        """Make the painter."""
        from inference.procedural import ProceduralEngine

        return ProceduralEngine()

    def free_bytes(self) -> int | None:
        """Never asked for: it takes no memory worth counting."""
        return None
