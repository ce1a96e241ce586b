"""Regenerate the gRPC code: the one way to do it, also used by the test that it is current."""

import os
import re
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
PROTO = "protos/psyche_inference_v1.proto"


def generate(out: Path) -> None:
    """Write the generated modules of `PROTO` and their type stubs below ``out``.

    Raises:
        RuntimeError: If the compiler refuses the contract.
    """
    import grpc_tools
    from grpc_tools import protoc

    # The type-stub generators are programs of this environment, which need not be activated.
    os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    well_known_types = Path(grpc_tools.__file__).parent / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{ROOT}",
            f"-I{well_known_types}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out={out}",
            f"--mypy_grpc_out={out}",
            str(ROOT / PROTO),
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc ended with status {status}")
    for path in (out / "protos").glob("psyche_inference_v1_pb2*.py*"):
        # One newline at the end, whichever generator wrote the file.
        path.write_text(re.sub(r"\s+\Z", "\n", path.read_text()))


if __name__ == "__main__":
    generate(ROOT)
