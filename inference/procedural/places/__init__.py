"""The places that the painter knows; each module paints one.

A place takes a `Setting` and fills the `Parts` of a scene. It decides the composition; light,
palette and weather come with the setting.
"""

from __future__ import annotations

from collections.abc import Callable

from inference.procedural.scene import Parts
from inference.procedural.setting import Setting

from . import abstract, city, desert, flowers, forest, heaven, mountain, sea, space


PAINTERS: dict[str, Callable[[Setting, Parts], None]] = {
    "sea": sea.paint,
    "mountain": mountain.paint,
    "forest": forest.paint,
    "city": city.paint,
    "space": space.paint,
    "flowers": flowers.paint,
    "desert": desert.paint,
    "sky": heaven.paint,
    "abstract": abstract.paint,
}
"""What paints a place, by the names of `vocabulary.PLACES`, "sky" and "abstract"."""
