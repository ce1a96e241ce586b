"""Prompts into embeddings, each encoded once.

One prompt at a time, always: a text encoder's answer depends on its neighbours in the batch by
rounding, and the same prompt must give the same bytes. Tokenizers keep state of their own, so an
encoder belongs to the engines' thread. The embeddings are those of diffusers' `encode_prompt`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch

from .components import Components


# About 800 prompts of SDXL in 16 bits.
CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What a network is told of a prompt. Shared with the cache: never changed in place."""

    tokens: Any  # (77, C) tensor in the text encoders' dtype, on the device
    pooled: Any  # (P,) tensor likewise, or None where the family has none
    truncated: str = ""  # the words that did not fit into 77 tokens, as the tokenizer spells them

    @property
    def size_bytes(self) -> int:
        """What it takes on the device."""
        tensors = (self.tokens,) if self.pooled is None else (self.tokens, self.pooled)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class TextEncoder:
    """Encodes prompts and remembers them, the least recently used forgotten first.

    Attributes:
        hits: Prompts that were remembered.
        misses: Prompts that were encoded.
    """

    def __init__(self, components: Components, device: Any, cache_bytes: int = CACHE_BYTES) -> None:
        """Take the tokenizers and text encoders of a pipeline.

        Args:
            components: Whose text encoders are on the device by the time of the first prompt.
            device: A torch device or its name.
            cache_bytes: What all remembered embeddings may take together.
        """
        self.hits = 0
        self.misses = 0
        self._components = components
        self._device = torch.device(device)
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0
        self._cache: OrderedDict[str, Embedding] = OrderedDict()

    @property
    def cached_bytes(self) -> int:
        """What the remembered embeddings take."""
        return self._cached_bytes

    def encode(self, text: str) -> Embedding:
        """Encode a prompt. The same text always gives the same bytes."""
        found = self._cache.get(text)
        if found is not None:
            self.hits += 1
            self._cache.move_to_end(text)
            return found
        self.misses += 1
        made = self._encode(text)
        self._remember(text, made)
        return made

    def encode_negative(self, text: str) -> Embedding:
        """Encode a negative prompt; none at all is zeros where the pipeline was trained so."""
        if text or self._components.family == "sd" or not self._components.force_zeros_for_empty_prompt:
            return self.encode(text)
        empty = self.encode("")
        pooled = None if empty.pooled is None else torch.zeros_like(empty.pooled)
        return Embedding(torch.zeros_like(empty.tokens), pooled)

    def forget(self) -> None:
        """Give the memory of the remembered prompts back."""
        self._cache.clear()
        self._cached_bytes = 0

    def _remember(self, text: str, embedding: Embedding) -> None:
        if embedding.size_bytes > self._cache_bytes:
            return
        self._cache[text] = embedding
        self._cached_bytes += embedding.size_bytes
        while self._cached_bytes > self._cache_bytes:
            _, forgotten = self._cache.popitem(last=False)
            self._cached_bytes -= forgotten.size_bytes

    def _encode(self, text: str) -> Embedding:
        encoders = self._components.text_encoders
        pairs = zip(self._components.tokenizers, encoders, strict=True)
        if self._components.family == "sd":
            tokens, pooled = self._last_state(text, *next(pairs)), None
        else:
            states: list[Any] = []
            for tokenizer, encoder in pairs:
                state, pooled = self._penultimate_state(text, tokenizer, encoder)
                states.append(state)
            tokens = torch.cat(states, dim=-1)
        # SDXL's two encoders may differ in precision; diffusers goes by the second.
        tokens = tokens.to(encoders[-1].dtype)[0]
        truncated = cut_off(text, self._components.tokenizers[0])
        return Embedding(tokens, None if pooled is None else pooled[0].to(tokens.dtype), truncated)

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is never followed
    def _last_state(self, text: str, tokenizer: Any, encoder: Any) -> Any:
        """Return Stable Diffusion's embedding, (1, 77, C): the last layer after its norm."""
        inputs = _tokens(text, tokenizer)
        wants_mask = getattr(encoder.config, "use_attention_mask", False)
        mask = inputs.attention_mask.to(self._device) if wants_mask else None
        return encoder(inputs.input_ids.to(self._device), attention_mask=mask)[0]

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is never followed
    def _penultimate_state(self, text: str, tokenizer: Any, encoder: Any) -> tuple[Any, Any]:
        """Return one of SDXL's two embeddings, (1, 77, C), and what the encoder pools, (1, P)."""
        ids = _tokens(text, tokenizer).input_ids.to(self._device)
        output = encoder(ids, output_hidden_states=True)
        return output.hidden_states[-2], output[0]


def cut_off(text: str, tokenizer: Any) -> str:
    """Return the words of a text that do not fit into what a tokenizer may give, or nothing."""
    # Not `verbose`: it would log that the text is too long.
    ids = tokenizer(text, truncation=False, padding=False, verbose=False).input_ids
    limit = tokenizer.model_max_length
    if len(ids) <= limit:
        return ""
    # The last of the tokens that fit is the end mark, and so is the last of all.
    return str(tokenizer.decode(ids[limit - 1 : -1])).strip()


def _tokens(text: str, tokenizer: Any) -> Any:
    return tokenizer(
        text,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
