"""Networks go to their device in small pieces, and wholly."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
from typing import Any

from tiny_turbo import describe

from inference.turbo import engine as engine_module
from inference.turbo.architectures import full_unet
from inference.turbo.components import Components, weights_bytes
from inference.turbo.device import Device
from inference.turbo.engine import TurboEngine
from inference.turbo.moving import MOST_BYTES, move, pieces
from inference.turbo.random_weights import build_tiny


pytestmark = pytest.mark.diffusion


class Crooked(torch.nn.Module):  # type: ignore[misc]  # torch is never followed
    """Holds weights of its own, deep ones, and one that two of its parts share."""

    def __init__(self) -> None:
        super().__init__()
        self.own = torch.nn.Parameter(torch.ones(3))
        self.register_buffer("table", torch.ones(5))
        self.deep = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)))
        self.tied = torch.nn.Linear(8, 8)
        self.tied.weight = self.deep[0][0].weight


def test_a_network_that_is_small_is_one_piece() -> None:
    network = Crooked()

    assert pieces(network) == [[network]]


def test_pieces_are_small_and_the_network_itself_comes_last() -> None:
    network = Crooked()
    one = weights_bytes(torch.nn.Linear(8, 8))

    groups = pieces(network, most_bytes=one)

    assert groups == [[network.deep[0][0]], [network.deep[0][1]], [network.tied], [network]]


def test_nothing_is_forgotten_whatever_holds_it() -> None:
    network = Crooked()
    groups = pieces(network, most_bytes=1)
    for group in groups:
        move(group, "meta")

    assert len(groups) > 2
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}
    assert {tensor.device.type for tensor in network.buffers()} == {"meta"}


def test_a_weight_that_is_shared_stays_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Crooked()

    # As a copy to a card does: the parameter is the same, its values lie elsewhere.
    def to(module: Any, device: str) -> None:
        module._apply(lambda tensor: tensor.clone())

    monkeypatch.setattr(torch.nn.Module, "to", to)
    for group in pieces(network, most_bytes=1):
        move(group, "cuda:0")

    assert network.tied.weight is network.deep[0][0].weight


def test_the_real_unet_goes_in_pieces_that_a_live_frame_hardly_waits_for() -> None:
    with torch.device("meta"):
        unet = full_unet().to(torch.bfloat16)

    groups = pieces(unet)

    sizes = [sum(weights_bytes(module) for module in group) for group in groups[:-1]]
    assert max(sizes) <= MOST_BYTES
    assert sum(sizes) == weights_bytes(unet)
    assert 35 < len(groups) < 80


def test_an_engine_gets_ready_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    components: Components = build_tiny("sdxl")
    largest = max(weights_bytes(module) for module in components.unet.children())
    monkeypatch.setattr(engine_module, "pieces", lambda network: pieces(network, largest // 4))
    engine = TurboEngine(describe(), components, Device("meta", "cpu", "", torch.float32, 0))
    words: list[str] = []
    for word in engine.prepare():
        words.append(word)
        if word == "unet":
            break
        if word.startswith("unet, 1 "):
            assert {tensor.device.type for tensor in components.unet.parameters()} == {"cpu", "meta"}

    assert sum(word.startswith("unet") for word in words) > 4
    assert all(tensor.is_meta for tensor in components.unet.state_dict().values())
