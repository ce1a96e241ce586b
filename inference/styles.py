"""The styles and prompt templates on offer: what each is, and how a prompt says it.

One file to read and to add to, for every engine. A style is how a picture is painted: the procedural
painter looks its own treatment up by the style's name, a neural network gets the style's words. A
prompt template is words for both. It knows no engine. What a model is given is put together in this
order, each around what came before: context, prompt template, style, the model's own template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """Words that are put around a prompt.

    Attributes:
        name: What requests carry.
        description: One line for people.
        template: With ``{prompt}`` in it, and ``{context}`` in the one that joins the context.
    """

    name: str
    description: str
    template: str

    def prompt(self, prompt: str, context: Sequence[str] = ()) -> str:
        """Return the prompt with the template's words around it.

        Args:
            prompt: What was asked for.
            context: Earlier turns, oldest first. They are joined newest first: who cuts a prompt
                that is too long cuts its end.
        """
        words = {"{prompt}": prompt, "{context}": ", ".join(reversed(context))}
        # In one go: a prompt may hold "{context}" itself.
        return _PLACE.sub(lambda found: words[found[0]], self.template)


_PLACE = re.compile(r"\{(?:prompt|context)\}")

CONTEXT = PromptTemplate(
    "context",
    "How earlier turns join the prompt; used by itself where a request brings context",
    "{prompt}, {context}",
)

_TEMPLATES = (
    CONTEXT,
    PromptTemplate(
        "detailed",
        "More of everything: fine detail, depth and light",
        "{prompt}, intricate details, rich textures, depth, beautiful light, sharp focus",
    ),
    PromptTemplate(
        "photo",
        "As if photographed: a real place in natural light",
        "photograph of {prompt}, natural light, 35mm lens, realistic, high detail",
    ),
    PromptTemplate(
        "cinematic",
        "A still from a film: wide, graded and dramatic",
        "cinematic still of {prompt}, wide shot, dramatic light, colour graded, shallow depth of field",
    ),
    PromptTemplate(
        "portrait",
        "One face or figure in the middle, the rest out of focus",
        "portrait of {prompt}, centred, detailed face, soft rim light, blurred background",
    ),
    PromptTemplate(
        "game-scenery",
        "A background for a game: a clear view, no people, no writing",
        "{prompt}, video game environment concept art, wide establishing view, layered depth, no people",
    ),
    PromptTemplate(
        "game-item",
        "A single thing for a game, on a plain background",
        "{prompt}, single game item, centred, plain background, clean silhouette, icon",
    ),
    PromptTemplate(
        "storybook",
        "A page of a picture book: warm and friendly",
        "{prompt}, storybook illustration, warm colours, soft edges, whimsical",
    ),
    PromptTemplate(
        "wallpaper",
        "Calm and wide, with room for what stands before it",
        "{prompt}, wide calm composition, open space, harmonious colours, no text",
    ),
)

TEMPLATES: dict[str, PromptTemplate] = {template.name: template for template in _TEMPLATES}
"""Every prompt template by its name, in the order in which people see them."""


def compose(
    prompt: str,
    *,
    context: Sequence[str] = (),
    template: PromptTemplate | None = None,
    style: Style | None = None,
    model_template: str = "{prompt}",
) -> str:
    """Put the whole prompt together, from the inside out.

    Args:
        prompt: What was asked for.
        context: Earlier turns, oldest first.
        template: The prompt template; None or `CONTEXT`: none beside the context.
        style: Whose words are added; None where the style is painted, or there is none.
        model_template: What the model needs around every prompt, with ``{prompt}`` in it.
    """
    if context:
        prompt = CONTEXT.prompt(prompt, context)
    if template is not None and template is not CONTEXT:
        prompt = template.prompt(prompt)
    if style is not None:
        prompt = style.prompt(prompt)
    return model_template.replace("{prompt}", prompt)
