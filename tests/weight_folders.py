"""Folders of weights as tests need them: whole by their headers, and a few bytes long."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from inference.models.hub import FetchError


COMPONENTS = {
    "sdxl": {
        "scheduler": "EulerAncestralDiscreteScheduler",
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "CLIPTextModelWithProjection",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "CLIPTokenizer",
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    },
    "sd": {
        "scheduler": "EulerAncestralDiscreteScheduler",
        "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer",
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    },
}
TENSOR_BYTES = 64


def tensors(size_bytes: int = TENSOR_BYTES) -> bytes:
    """Return a safetensors file of one tensor."""
    header = json.dumps(
        {"t": {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size_bytes)


def model_files(variant: str = "", stem: str = "diffusion_pytorch_model") -> dict[str, bytes]:
    """Return the files of one network."""
    name = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
    return {"config.json": b"{}", name: tensors()}


def pipeline_files(family: str = "sdxl", variant: str = "") -> dict[str, bytes]:
    """Return the files of a pipeline by their paths."""
    parts = COMPONENTS[family]
    index: dict[str, object] = {"_class_name": "P", "safety_checker": [None, None]}
    files = {}
    for name, kind in parts.items():
        index[name] = ["diffusers", kind]
        if name == "scheduler":
            files["scheduler/scheduler_config.json"] = b"{}"
        elif name.startswith("tokenizer"):
            files |= {f"{name}/vocab.json": b"{}", f"{name}/merges.txt": b"#"}
        else:
            stem = "model" if name.startswith("text") else "diffusion_pytorch_model"
            files |= {f"{name}/{file}": data for file, data in model_files(variant, stem).items()}
    return {"model_index.json": json.dumps(index).encode(), **files}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files by their paths, and return the folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_repo(
    cache: Path,
    hub_id: str,
    files: Mapping[str, bytes],
    *,
    commit: str = "c" * 40,
    used_at: float | None = None,
    is_main: bool = True,
) -> Path:
    """Write a repository as the hub's cache keeps it, and return its snapshot.

    Args:
        cache: The cache.
        hub_id: Its name.
        files: What it holds.
        commit: Of its state.
        used_at: When its files were used last, Unix seconds.
        is_main: Whether its main branch is at this state.
    """
    repo = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / commit
    (repo / "blobs").mkdir(parents=True, exist_ok=True)
    snapshot.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        blob = repo / "blobs" / hashlib.sha256(name.encode() + data).hexdigest()
        if not blob.exists():
            blob.write_bytes(data)
        if used_at is not None:
            os.utime(blob, (used_at, used_at))
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    if is_main:
        (repo / "refs").mkdir(exist_ok=True)
        (repo / "refs" / "main").write_text(commit)
    return snapshot


class FakeHub:
    """A hub that writes what it holds into the cache.

    Attributes:
        repos: What it holds: by hub id the files of a repository.
        fetched: What was fetched: hub ids, and the files of each.
        error: What each call says is wrong; empty: nothing. It gives no answer then.
        fetch_error: What `fetch` says is wrong; empty: nothing.
        asked: The hub ids whose sizes were asked for.
        stopped: Whether `stop` was called.
    """

    def __init__(self, **_: object) -> None:
        self.repos: dict[str, Mapping[str, bytes]] = {}
        self.fetched: dict[str, list[str]] = {}
        self.error = ""
        self.fetch_error = ""
        self.asked: list[str] = []
        self.stopped = False

    def sizes(self, hub_id: str) -> Mapping[str, int]:
        self.asked.append(hub_id)
        if self.error or hub_id not in self.repos:
            raise FetchError(self.error or "RepositoryNotFoundError", is_unreachable=bool(self.error))
        return {name: len(data) for name, data in self.repos[hub_id].items()}

    def fetch(
        self, hub_id: str, files: Collection[str], cache: Path, on_bytes: Callable[[int], None]
    ) -> None:
        if self.fetch_error:
            raise FetchError(self.fetch_error)
        self.fetched[hub_id] = sorted(files)
        on_bytes(1)
        write_repo(cache, hub_id, {name: self.repos[hub_id][name] for name in files})

    def stop(self) -> None:
        self.stopped = True
