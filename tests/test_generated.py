"""The committed gRPC code is what the contract generates."""

from __future__ import annotations

from pathlib import Path

import pytest

import protos
from protos.__main__ import generate


def test_protos_regenerate_to_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    committed = Path(protos.__file__).parent

    generate(tmp_path)

    generated = sorted((tmp_path / "protos").iterdir())
    assert [path.name for path in generated] == [
        "psyche_inference_v1_pb2.py",
        "psyche_inference_v1_pb2.pyi",
        "psyche_inference_v1_pb2_grpc.py",
        "psyche_inference_v1_pb2_grpc.pyi",
    ]
    for path in generated:
        assert path.read_bytes() == (committed / path.name).read_bytes(), path.name
