"""Styles and prompt templates: how they put words around a prompt."""

from __future__ import annotations

import pytest

from inference.procedural.looks import LOOKS
from inference.styles import CONTEXT, STYLES, TEMPLATES, PromptTemplate, compose


@pytest.mark.parametrize("name", STYLES)
def test_every_style_says_what_it_is_and_keeps_the_prompt(name: str) -> None:
    assert STYLES[name].description
    assert "a barn" in STYLES[name].prompt("a barn")
    assert name in LOOKS  # The painter paints it.


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_says_what_it_is_and_keeps_the_prompt(name: str) -> None:
    template = TEMPLATES[name]

    assert template.description
    assert "\n" not in template.description
    assert "a barn" in template.prompt("a barn")
    assert ("{context}" in template.template) == (template is CONTEXT)


def test_everything_is_put_together_from_the_inside_out() -> None:
    whole = compose(
        "a barn",
        context=("in winter", "at night"),
        template=PromptTemplate("t", "T", "photo of {prompt}"),
        style=STYLES["noir"],
        model_template="{prompt}, best",
    )

    assert whole == STYLES["noir"].prompt("photo of a barn, at night, in winter") + ", best"


def test_the_newest_turn_comes_first_so_that_the_oldest_is_cut() -> None:
    assert CONTEXT.prompt("now", ("oldest", "newest")) == "now, newest, oldest"


def test_asking_for_the_context_template_by_name_changes_nothing() -> None:
    assert compose("a barn", template=CONTEXT) == "a barn"
    assert compose("a barn", context=("at night",), template=CONTEXT) == "a barn, at night"


def test_words_in_braces_are_no_places_once_they_are_the_prompts_own() -> None:
    assert CONTEXT.prompt("{context}", ("{prompt}",)) == "{context}, {prompt}"
    assert compose("{prompt}", model_template="best of {prompt}") == "best of {prompt}"
