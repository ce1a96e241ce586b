"""The styles on offer: what each is, what the painter does for it, and how a prompt says it.

One table for every engine. It knows no engine: the procedural painter looks its own treatment up
by the style's name, a neural network only needs the template.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Style:
    """One style.

    Attributes:
        name: What requests carry.
        description: One line for people.
        painting: What the procedural painter does for it.
        template: A neural network's prompt, with ``{prompt}`` in it.
    """

    name: str
    description: str
    painting: str
    template: str

    def prompt(self, prompt: str) -> str:
        """Return the prompt that asks a neural network for this style."""
        return self.template.replace("{prompt}", prompt)


_ALL = (
    Style(
        "oil",
        "Oil on canvas: rich colour and visible brush strokes",
        "regathers the picture stroke by stroke and lets the bristles catch the light",
        "{prompt}, oil painting on canvas, visible brush strokes, rich impasto, masterful light",
    ),
    Style(
        "watercolor",
        "Watercolor: light washes that run on rough paper",
        "lifts the colours, lets the edges run and leaves paper at the border",
        "{prompt}, watercolor painting, soft washes, bleeding edges, rough paper texture",
    ),
    Style(
        "pixel-art",
        "Pixel art: large square pixels in few colours",
        "paints on a coarse raster with few levels and ordered dithering",
        "{prompt}, pixel art, 16-bit game scenery, limited palette, crisp square pixels",
    ),
    Style(
        "neon",
        "Neon: glowing magenta and cyan in the dark",
        "darkens, turns the colours to magenta and cyan and lets the lights bloom",
        "{prompt}, neon lights, glowing magenta and cyan, dark night, synthwave",
    ),
    Style(
        "noir",
        "Film noir: hard black and white, coarse grain",
        "takes the colour away, hardens the contrast and adds film grain",
        "{prompt}, film noir, high contrast black and white photograph, dramatic shadows, film grain",
    ),
    Style(
        "pastel",
        "Pastel: pale chalk colours on tinted paper",
        "lifts the shadows, pales the colours and rubs them into toothed paper",
        "{prompt}, soft pastel drawing, pale chalk colours, gentle light, textured paper",
    ),
    Style(
        "ukiyo-e",
        "Ukiyo-e: flat wood-block colours with ink contours",
        "flattens the tones, draws ink contours and prints on warm paper",
        "{prompt}, ukiyo-e woodblock print, flat colours, ink outlines, Edo period, washi paper",
    ),
    Style(
        "vintage",
        "Vintage: a faded, warm photograph from the seventies",
        "fades the blacks, warms the light, darkens the corners and adds grain",
        "{prompt}, vintage photograph, faded warm colours, soft vignette, analog film grain",
    ),
)

STYLES: dict[str, Style] = {style.name: style for style in _ALL}
"""Every style by its name, in the order in which people see them."""
