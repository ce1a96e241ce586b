"""A small CLIP tokenizer made of nothing: every byte, and whole tokens for some ordinary words.

It reads any text and needs no file and no network. Real ones know 49,408 tokens; what follows from
their ids is the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer


# What a text encoder takes, in tokens, as every CLIP has it.
TEXT_TOKENS = 77
START, END = "<|startoftext|>", "<|endoftext|>"
# What SDXL's first and second tokenizer fill the rest up with.
PADS = (END, "!")
# Each becomes one token, so that a sentence of ordinary words stays below 77 of them.
_WORDS = (
    "a an and at by city cabin cat cozy dark dog fire forest fox green horse house in lake",
    "light moon mountain of on over portrait red river sea sky snow storm sun sunset the tower tree ugly",
    "with woods",
)


def vocabulary_and_merges() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return tokens by id and what is merged into them; the two marks come last, as CLIP has them."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    # Byte-level BPE writes the other bytes as the characters from 256 on.
    letters = [*map(chr, visible), *(chr(256 + index) for index in range(256 - len(visible)))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges: list[tuple[str, str]] = []
    for word in " ".join(_WORDS).split():
        left, *rest = [*word[:-1], f"{word[-1]}</w>"]
        for right in rest:
            if left + right not in vocabulary:
                merges.append((left, right))
                vocabulary[left + right] = len(vocabulary)
            left += right
    for mark in (START, END):
        vocabulary[mark] = len(vocabulary)
    return vocabulary, merges


def build_tokenizer(pad: str = END) -> Any:
    """Return a CLIPTokenizer that fills up with `pad`."""
    vocabulary, merges = vocabulary_and_merges()
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=TEXT_TOKENS)


def write_tokenizer(folder: Path, pad: str = END) -> None:
    """Write it as the published pipelines have theirs, a vocabulary and merges, instead of what is there."""
    vocabulary, merges = vocabulary_and_merges()
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": TEXT_TOKENS,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": pad,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
