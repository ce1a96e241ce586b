"""The neural engines to be measured, the arithmetic that they must do, and what their device can do.

Imports torch and diffusers; nothing else of the bench does.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any, cast

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import BenchError
from bench.inference.floors import Peak, Work
from bench.inference.options import Options
from bench.inference.painting import PROMPTS
from bench.inference.rig import Rig, check_memory
from inference.engine import ModelDescription
from inference.errors import ConfigurationError
from inference.turbo.components import Components, pipeline_of, weights_bytes
from inference.turbo.device import Device, choose_device, free_bytes
from inference.turbo.engine import TurboEngine
from inference.turbo.graphs import Acceleration
from inference.turbo.memory import give_memory_back
from inference.turbo.random_weights import build_full_sdxl, build_tiny


# 3.56 billion parameters, and what a few pictures at once take besides, bytes.
_FULL_PARAMETERS = 3.56e9
_FULL_ACTIVATIONS_BYTES = 1.5e9
# A matrix product this wide, and a copy of so much, are beyond every cache and fill the device.
_CPU_SIDE, _GPU_SIDE = 2048, 8192
_CPU_COPY_BYTES, _GPU_COPY_BYTES = 256 << 20, 2 << 30
_PEAK_TRIES = 5


def build_network_rig(options: Options) -> Rig:
    """Build a neural engine with random weights.

    Raises:
        BenchError: If there is no such device, or too little memory.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        device = choose_device(options.device, options.dtype)
    except ConfigurationError as exc:
        raise BenchError(str(exc)) from exc
    components = _components(options, device)
    model = ModelDescription(
        options.engine,
        "random weights",
        "turbo",
        is_neural=True,
        default_width=options.size,
        default_height=options.size,
        max_size=max(1024, options.size),
        uses_negative_prompt=False,
    )
    works = count_works(components, options)
    clock = StageClock(device)
    engine = TurboEngine(
        model, components, device, acceleration=cast(Acceleration, options.acceleration), clock=clock
    )
    facts = {
        "device": device.name,
        "description": device.description,
        "dtype": str(device.dtype).removeprefix("torch."),
        "torch_threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "diffusers", "transformers")},
    }
    return Rig(
        engine=engine,
        words=f"{device.description}; {facts['dtype']}, {torch.get_num_threads()} CPU thread(s); "
        f"diffusers {version('diffusers')}",
        facts=facts,
        works=works,
        find_peak=lambda: find_peak(device),
        make_plain_loop=lambda: _Pipeline(components, options, device),
        peak_memory=lambda: _peak_memory(device),
        exact_stages=None if device.kind == "cpu" else clock.exact,
    )


def _components(options: Options, device: Device) -> Components:
    if options.engine == "tiny":
        tiny = build_tiny("sdxl")
        # Told to take the precision that they have, they would tell of it at length.
        for _, module in tiny.parts() if device.dtype != torch.float32 else ():
            module.to(device.dtype)
        return tiny
    taken = _FULL_PARAMETERS * torch.empty((), dtype=device.dtype).element_size() + _FULL_ACTIVATIONS_BYTES
    is_cpu = device.kind == "cpu"
    available = psutil.virtual_memory().available if is_cpu else free_bytes(device)
    check_memory(options.engine, device.name, taken, available)
    try:
        return build_full_sdxl(device.name, device.dtype)
    except (MemoryError, torch.OutOfMemoryError) as exc:
        raise BenchError(f"memory ran out while the model was built: {exc}") from exc


def count_works(components: Components, options: Options) -> dict[str, Work]:
    """Count what the stages of one picture must do, on twins without weights.

    Returns:
        "text", "source", "denoise", "decode" and "decode, full".
    """
    side = options.size // components.scale
    channels = components.unet.config.in_channels
    tiny = components.tiny_autoencoder or components.autoencoder
    with torch.device("meta"), torch.no_grad():
        unet = _twin(components.unet)
        encoders = [_text_twin(encoder) for encoder in components.text_encoders]
        latents = torch.empty(1, channels, side, side)
        pixels = torch.empty(1, 3, options.size, options.size)
        width = components.unet.config.cross_attention_dim
        added = {
            "text_embeds": torch.empty(1, components.text_encoders[-1].config.projection_dim),
            "time_ids": torch.empty(1, 6),
        }
        tokens = torch.zeros(1, 77, dtype=torch.long)
        embeds = torch.empty(1, 77, width)
        step = _flops(lambda: unet(latents, torch.empty(1), embeds, added_cond_kwargs=added))
        text = sum(_flops(partial(encoder, tokens)) for encoder in encoders)
        tiny_twin, full_twin = _twin(tiny), _twin(components.autoencoder)
        decode = _flops(lambda: tiny_twin.decode(latents))
        full = _flops(lambda: full_twin.decode(latents))
        # Sources of live pictures, which the bench paints, go through the tiny autoencoder, too.
        encode = _flops(lambda: tiny_twin.encode(pixels))
    # A row of the table of tokens is read for each token, not the table.
    tables = sum(weights_bytes(encoder.get_input_embeddings()) for encoder in components.text_encoders)
    return {
        "text": Work(text, sum(map(weights_bytes, components.text_encoders)) - tables),
        "source": Work(encode, weights_bytes(tiny.encoder)),
        "denoise": Work(step * options.steps, weights_bytes(components.unet) * options.steps),
        "decode": Work(decode, weights_bytes(tiny.decoder)),
        "decode, full": Work(full, weights_bytes(components.autoencoder.decoder)),
    }


def _twin(module: Any) -> Any:
    return type(module).from_config(module.config).eval()


def _text_twin(module: Any) -> Any:
    return type(module)(module.config).eval()


def _flops(call: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def find_peak(device: Device) -> Peak:
    """Measure what a device does at best: a wide matrix product and a large copy, the best of a few.

    What that took of its memory is not counted by `Rig.peak_memory`.
    """
    peak = _try_hard(device)
    give_memory_back(device.kind)
    if device.kind in ("cuda", "rocm"):
        torch.cuda.reset_peak_memory_stats(device.name)
    return peak


def _try_hard(device: Device) -> Peak:
    is_cpu = device.kind == "cpu"
    side = _CPU_SIDE if is_cpu else _GPU_SIDE
    size_bytes = _CPU_COPY_BYTES if is_cpu else _GPU_COPY_BYTES
    with torch.inference_mode():
        left = torch.randn(side, side, device=device.name).to(device.dtype)
        product = torch.empty_like(left)
        product_s = _best_s(device, lambda: torch.mm(left, left, out=product))
        source = torch.zeros(size_bytes, dtype=torch.uint8, device=device.name)
        target = torch.empty_like(source)
        copy_s = _best_s(device, lambda: target.copy_(source))
    return Peak(flops_per_s=2.0 * side**3 / product_s, bytes_per_s=2.0 * size_bytes / copy_s)


def _best_s(device: Device, work: Callable[[], Any]) -> float:
    times = []
    for _ in range(_PEAK_TRIES):
        synchronise(device)
        started_at = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - started_at)
    return min(times)


def synchronise(device: Device) -> None:
    """Wait until the device has done what it was given."""
    if device.kind in ("cuda", "rocm"):
        torch.cuda.synchronize(device.name)
    elif device.kind == "mps":
        torch.mps.synchronize()


class StageClock:
    """Times the stages of pictures: as the service does, or waiting for the device at every border.

    Waiting makes batches slower: what is made for the rates must not do it.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._waits = False

    def __call__(self) -> float:
        """Return seconds."""
        if self._waits:
            synchronise(self._device)
        return time.perf_counter()

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Wait for the device inside."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False


def _peak_memory(device: Device) -> int | None:
    if device.kind in ("cuda", "rocm"):
        return int(torch.cuda.max_memory_allocated(device.name))
    return None if device.kind == "mps" else int(psutil.Process().memory_info().rss)


class _Pipeline:
    """diffusers' pipeline of the same networks, the tiny autoencoder too, one picture a call."""

    def __init__(self, components: Components, options: Options, device: Device) -> None:
        tiny = components.tiny_autoencoder or components.autoencoder
        # diffusers makes arrays of tensors at every call; numpy's next version wants to be asked otherwise.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept", DeprecationWarning)
        self._pipeline = pipeline_of(replace(components, autoencoder=tiny)).to(device.name)
        self._options = options
        self._kept: dict[str, tuple[Any, Any]] = {}

    def paint(self, index: int, *, keeps_text: bool) -> None:
        """See `rig.PlainLoop`."""
        prompt = PROMPTS[index % len(PROMPTS)]
        text = self._keep(prompt) if keeps_text else {"prompt": prompt}
        images = self._pipeline(
            **text,
            width=self._options.size,
            height=self._options.size,
            num_inference_steps=self._options.steps,
            guidance_scale=0.0,
            generator=torch.Generator("cpu").manual_seed(index),
        ).images
        assert len(images) == 1

    def _keep(self, prompt: str) -> dict[str, Any]:
        if prompt not in self._kept:
            with torch.no_grad():
                embeds, _, pooled, _ = self._pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
            self._kept[prompt] = embeds, pooled
        embeds, pooled = self._kept[prompt]
        return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}
