"""Prompts into embeddings: what diffusers gives, encoded once."""

from __future__ import annotations

from typing import Any

import pytest


torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from inference.turbo.components import Components, NetworkFamily, pipeline_of  # noqa: E402 (torch first)
from inference.turbo.networks import quieten  # noqa: E402
from inference.turbo.random_weights import build_tiny  # noqa: E402
from inference.turbo.text import TextEncoder  # noqa: E402


pytestmark = pytest.mark.diffusion

LONG = "a cat in the snow, " * 30
PROMPTS = ["a cat in the snow", "", "東京 at night 🦊", "A  Cat\n in THE snow!", LONG]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    quieten()
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def sdxl() -> Components:
    return build_tiny("sdxl", autoencoder="tiny", with_tiny_autoencoder=False)


@pytest.fixture(scope="module")
def sd() -> Components:
    return build_tiny("sd", autoencoder="tiny", with_tiny_autoencoder=False)


def encoder(components: Components, **settings: int) -> TextEncoder:
    return TextEncoder(components, "cpu", **settings)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_sdxl_embeddings_are_those_of_diffusers_bit_by_bit(sdxl: Components, prompt: str) -> None:
    with torch.no_grad():
        expected = pipeline_of(sdxl).encode_prompt(prompt, negative_prompt="ugly, red")

    made = encoder(sdxl).encode(prompt)
    negative = encoder(sdxl).encode_negative("ugly, red")

    assert made.tokens.shape == (77, 64)
    assert made.pooled.shape == (32,)
    ours = (made.tokens, negative.tokens, made.pooled, negative.pooled)
    assert all(torch.equal(own, theirs[0]) for own, theirs in zip(ours, expected, strict=True))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_sd_embeddings_are_those_of_diffusers_bit_by_bit(sd: Components, prompt: str) -> None:
    with torch.no_grad():
        expected, empty = pipeline_of(sd).encode_prompt(prompt, "cpu", 1, True)

    made = encoder(sd).encode(prompt)

    assert torch.equal(made.tokens, expected[0])
    assert torch.equal(encoder(sd).encode_negative("").tokens, empty[0])
    assert made.pooled is None


def test_no_negative_prompt_is_zeros_where_the_pipeline_was_trained_so(sdxl: Components) -> None:
    with torch.no_grad():
        _, tokens, _, pooled = pipeline_of(sdxl).encode_prompt("a cat")

    made = encoder(sdxl).encode_negative("")

    assert not made.tokens.any()
    assert torch.equal(made.tokens, tokens[0])
    assert torch.equal(made.pooled, pooled[0])


def test_no_negative_prompt_is_the_encoding_of_nothing_elsewhere() -> None:
    components = build_tiny("sdxl", autoencoder="tiny", with_tiny_autoencoder=False)
    components.force_zeros_for_empty_prompt = False
    own = encoder(components)

    made = own.encode_negative("")

    assert made.tokens.any()
    assert torch.equal(made.tokens, own.encode("").tokens)


def test_the_second_tokenizer_fills_up_with_its_own_mark(sdxl: Components) -> None:
    first, second = (tokenizer.pad_token_id for tokenizer in sdxl.tokenizers)
    assert first != second

    made = encoder(sdxl).encode("a cat").tokens

    # With the first one's mark the second half would be another.
    same = Components(**{**vars(sdxl), "tokenizers": (sdxl.tokenizers[0], sdxl.tokenizers[0])})
    other = encoder(same).encode("a cat").tokens
    assert torch.equal(made[:, :32], other[:, :32])
    assert not torch.equal(made[:, 32:], other[:, 32:])


def test_the_pooled_embedding_is_taken_at_the_end_mark(sdxl: Components) -> None:
    own = encoder(sdxl)

    # Were it taken from the start or from the padding, the last word would not count.
    assert not torch.allclose(own.encode("red cat").pooled, own.encode("red dog").pooled)


def test_words_that_do_not_fit_are_told(sdxl: Components) -> None:
    own = encoder(sdxl)
    words = ["red", "fox"] * 40

    told = own.encode(" ".join(words)).truncated

    # 77 less the two marks fit.
    assert told.split() == words[75:]
    assert own.encode(" ".join(words[:75])).truncated == ""


def test_an_embedding_does_not_depend_on_what_was_encoded_before(sdxl: Components) -> None:
    own = encoder(sdxl)
    own.encode(LONG)
    own.encode_negative("ugly")

    assert torch.equal(own.encode("a cat").tokens, encoder(sdxl).encode("a cat").tokens)


def test_a_prompt_is_encoded_once(sdxl: Components) -> None:
    own = encoder(sdxl)

    first = own.encode("a cat")
    again = own.encode("a cat")
    own.encode("a dog")

    assert again is first
    assert (own.hits, own.misses) == (1, 2)


def test_the_least_recently_used_prompt_is_forgotten_when_the_bytes_run_out(sdxl: Components) -> None:
    size = encoder(sdxl).encode("a cat").size_bytes
    own = encoder(sdxl, cache_bytes=2 * size)
    own.encode("a cat")
    own.encode("a dog")
    own.encode("a cat")

    own.encode("a fox")

    assert own.cached_bytes == 2 * size == 2 * (77 * 64 + 32) * 4
    misses = own.misses
    own.encode("a cat")
    assert own.misses == misses
    own.encode("a dog")
    assert own.misses == misses + 1


def test_a_prompt_larger_than_the_cache_is_encoded_all_the_same(sdxl: Components) -> None:
    own = encoder(sdxl, cache_bytes=16)

    assert own.encode("a cat").tokens.shape == (77, 64)
    assert own.cached_bytes == 0


def test_forgetting_gives_the_memory_back(sdxl: Components) -> None:
    own = encoder(sdxl)
    own.encode("a cat")

    own.forget()

    assert own.cached_bytes == 0
    own.encode("a cat")
    assert own.misses == 2


@pytest.mark.parametrize("family", ["sdxl", "sd"])
def test_embeddings_come_in_the_precision_of_the_networks(family: NetworkFamily) -> None:
    components = build_tiny(family, autoencoder="tiny", with_tiny_autoencoder=False)
    parts: list[tuple[str, Any]] = list(components.parts())
    for _, module in parts:
        module.to(torch.bfloat16)

    made = encoder(components).encode("a cat")

    assert made.tokens.dtype == torch.bfloat16
    assert made.pooled is None or made.pooled.dtype == torch.bfloat16
    assert not made.tokens.requires_grad
