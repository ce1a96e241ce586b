"""The commands that talk to a running service: what they ask, what they keep, and how they fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

import inference
from inference.__main__ import main
from inference.commands import COMMANDS
from inference.commands.flags import DEFAULT_ADDRESS, default_address
from inference.settings import DEFAULT_LISTEN
from protos import psyche_inference_v1_pb2 as pb
from protos import psyche_inference_v1_pb2_grpc as pb_grpc


ROOT = Path(inference.__file__).parent.parent
SOON_S = 20.0


class FakeService(pb_grpc.ImageGenerationServiceServicer):
    """Answers at once, and keeps what it was asked.

    A prompt chooses what goes wrong: ``refuse`` aborts with `refusal`, ``hang`` never answers, ``short``
    ends without all its pictures.
    """

    def __init__(self) -> None:
        self.requests: list[pb.ImageRequest] = []
        self.cancelled_ids: list[str] = []
        self.refusal: tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]] = (
            grpc.StatusCode.INTERNAL,
            "",
            (),
        )
        self.warnings: list[str] = []
        self.hanging = threading.Event()
        self.released = threading.Event()

    def _receive(self, request: pb.ImageRequest, context: Any) -> None:
        self.requests.append(request)
        if request.prompt == "refuse":
            code, details, trailer = self.refusal
            context.set_trailing_metadata(trailer)
            context.abort(code, details)
        if request.prompt == "hang":
            context.add_callback(self.released.set)
            self.hanging.set()
            self.released.wait(SOON_S)

    def _image(self, request: pb.ImageRequest, index: int = 0) -> pb.ImageResponse:
        metadata = pb.GenerationMetadata(
            model="turbo",
            seed=7 + index,
            steps=2,
            width=request.settings.width or 512,
            height=request.settings.height or 512,
            painted_for_ms=250.0,
            stage_ms={"load": 1500.0, "denoise": 200.0},
            warnings=self.warnings,
        )
        data = f"{request.output.format} {index}".encode()
        return pb.ImageResponse(image_data=data, format=request.output.format, metadata=metadata)

    def GenerateImageStream(self, request: pb.ImageRequest, context: Any) -> Iterator[pb.GenerationEvent]:
        yield pb.GenerationEvent(progress=pb.Progress(step=1, total_steps=2))
        self._receive(request, context)
        if request.prompt != "short":
            yield pb.GenerationEvent(image=self._image(request))

    def GenerateImageVariations(
        self, request: pb.ImageVariationsRequest, context: Any
    ) -> Iterator[pb.ImageResponse]:
        for index in range(request.count - (request.request.prompt == "short")):
            yield self._image(request.request, index)
        self._receive(request.request, context)

    def GetImageModels(self, request: pb.ModelRequest, context: Any) -> pb.ModelResponse:
        return pb.ModelResponse(
            models=[
                pb.ModelInfo(
                    name="turbo",
                    state=pb.ModelInfo.STATE_NOT_LOADED,
                    size_bytes=6_900_000_000,
                    default_width=512,
                    default_height=512,
                    default_steps=1,
                    license="Stability AI Community",
                    measured_megapixels_per_s=3.25,
                ),
                pb.ModelInfo(
                    name="painter", state=pb.ModelInfo.STATE_READY, weights_found=True, device="cpu"
                ),
                pb.ModelInfo(name="broken", state=pb.ModelInfo.STATE_FAILED, error="no unet in it"),
            ],
            styles=[pb.StyleInfo(name="oil", description="Oil on canvas")],
            templates=[pb.PromptTemplateInfo(name="photo", description="As if photographed")],
            default_model="turbo",
            device="cuda:0",
        )

    def CancelImage(self, request: pb.CancelRequest, context: Any) -> pb.CancelResponse:
        self.cancelled_ids.append(request.request_id)
        return pb.CancelResponse(cancelled=3 if request.request_id == "r1" else 0)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def address(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the fake service is; the environment names it, too."""
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        pb_grpc.add_ImageGenerationServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.setenv("PSYCHE_INFERENCE", f"127.0.0.1:{port}")
        try:
            yield f"127.0.0.1:{port}"
        finally:
            service.released.set()
            server.stop(None).wait()


def test_everything_that_the_flags_say_is_asked_for(
    address: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source.png").write_bytes(b"source")
    (tmp_path / "mask.png").write_bytes(b"mask")
    out = tmp_path / "image.webp"

    status = main(
        [
            *("image", "--prompt", "A cozy cabin", f"--out={out}", "--width", "640", "--height", "384"),
            *(
                "--steps",
                "20",
                "--guidance-scale",
                "7.5",
                "--seed",
                "0",
                "--style",
                "oil",
                "--model",
                "turbo",
            ),
            *("--negative-prompt", "people", "--strength", "0.5", "--template", "photo", "--upscale", "2"),
            *(f"--source={tmp_path}/source.png", f"--mask={tmp_path}/mask.png", "--quality", "80"),
            *("--context", "winter", "--context", "night", "--request-id", "r1", "--user-id", "ada"),
        ]
    )

    assert status == 0
    assert service.requests == [
        pb.ImageRequest(
            prompt="A cozy cabin",
            negative_prompt="people",
            model="turbo",
            request_id="r1",
            user_id="ada",
            context=["winter", "night"],
            source=pb.SourceImage(data=b"source"),
            mask=pb.SourceImage(data=b"mask"),
            output=pb.OutputSettings(format="webp", quality=80),
            settings=pb.ImageSettings(
                width=640,
                height=384,
                steps=20,
                guidance_scale=7.5,
                seed=0,
                style="oil",
                strength=0.5,
                template="photo",
                upscale=2,
            ),
        )
    ]
    assert out.read_bytes() == b"webp 0"
    told = capsys.readouterr()
    assert told.out.startswith(
        f"{out}: seed 7, model turbo, 640x384, 2 steps, painted in 0.25 s, load 1.50 s"
    )
    assert told.out.count("\n") == 1
    assert told.err == ""


def test_what_the_flags_leave_open_is_unset(address: str, service: FakeService, tmp_path: Path) -> None:
    assert main(["image", "--prompt", "x", "--out", str(tmp_path / "image.png")]) == 0

    (request,) = service.requests
    assert not request.settings.ListFields()
    assert not request.HasField("source")
    assert not request.output.HasField("quality")
    assert len(request.request_id) == 32


def test_flags_may_be_spelt_with_underscores(address: str, service: FakeService, tmp_path: Path) -> None:
    out = str(tmp_path / "a_b.png")

    assert (
        main(["image", "--prompt=--a_b", f"--out={out}", "--guidance_scale=2.5", "--negative_prompt", "y"])
        == 0
    )

    (request,) = service.requests
    assert (request.prompt, request.negative_prompt) == ("--a_b", "y")
    assert request.settings.guidance_scale == 2.5
    assert Path(out).exists()


@pytest.mark.parametrize(
    ("name", "format_"), [("a.png", "png"), ("a.JPG", "jpeg"), ("a.jpeg", "jpeg"), ("a.webp", "webp")]
)
def test_the_format_is_the_suffix(
    address: str, service: FakeService, tmp_path: Path, name: str, format_: str
) -> None:
    assert main(["image", "--prompt", "x", "--out", str(tmp_path / name)]) == 0

    assert service.requests[0].output.format == format_


def test_warnings_are_told_beside_the_line(
    address: str, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.warnings = ["guidance_scale was not used: turbo needs none"]

    assert main(["image", "--prompt", "x", "--out", str(tmp_path / "image.png")]) == 0

    assert capsys.readouterr().err == "warning: guidance_scale was not used: turbo needs none\n"


def test_variations_are_files_of_their_own(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "--prompt", "x", "--out", str(tmp_path / "image.png"), "--count", "3"]) == 0

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        f"image-{number}.png": f"png {number - 1}".encode() for number in (1, 2, 3)
    }
    assert capsys.readouterr().out.count("\n") == 3


def test_a_bar_tells_the_progress_and_what_is_waited_for(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "--prompt", "x", "--out", str(tmp_path / "image.png"), "--progress"]) == 0

    told = capsys.readouterr()
    assert "loading turbo" in told.err
    assert told.out.count("\n") == 1


def test_an_older_file_is_replaced_whole_or_not_at_all(
    address: str, service: FakeService, tmp_path: Path
) -> None:
    out = tmp_path / "image.png"
    out.write_bytes(b"older")

    assert main(["image", "--prompt", "refuse", "--out", str(out)]) == 1
    assert out.read_bytes() == b"older"
    assert main(["image", "--prompt", "x", "--out", str(out)]) == 0
    assert out.read_bytes() == b"png 0"
    assert list(tmp_path.iterdir()) == [out]


def test_a_disk_that_is_full_leaves_the_older_file(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "image.png"
    out.write_bytes(b"older")
    monkeypatch.setattr(os, "fsync", full)

    assert main(["image", "--prompt", "x", "--out", str(out)]) == 1

    assert out.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [out]
    assert capsys.readouterr().err == (f"python -m inference image: --out: {out}: No space left on device\n")


@pytest.mark.parametrize(
    ("code", "details", "trailer", "status", "told"),
    [
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "settings.width must be a multiple of 8, got 13",
            (("psyche-field", "settings.width"),),
            2,
            "--width: must be a multiple of 8, got 13",
        ),
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "source.data is no image",
            (("psyche-field", "source.data"),),
            2,
            "--source: is no image",
        ),
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "guidance is too high",
            (("psyche-field", "settings.guidance_scale"),),
            2,
            "--guidance-scale: guidance is too high",
        ),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "64 wait",
            (("retry-after-ms", "1500"),),
            1,
            "the service is busy, try again in 1.5 s: 64 wait",
        ),
        (
            grpc.StatusCode.FAILED_PRECONDITION,
            "model turbo could not be loaded: no unet",
            (),
            1,
            "the service failed (FAILED_PRECONDITION): model turbo could not be loaded: no unet",
        ),
        (grpc.StatusCode.CANCELLED, "request r1 was cancelled", (), 1, "cancelled: request r1 was cancelled"),
        (grpc.StatusCode.UNAVAILABLE, "the service is shutting down", (), 1, "the service is shutting down"),
    ],
)
def test_an_error_of_the_service_is_one_line(
    *,
    address: str,
    service: FakeService,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: grpc.StatusCode,
    details: str,
    trailer: tuple[tuple[str, str], ...],
    status: int,
    told: str,
) -> None:
    service.refusal = (code, details, trailer)

    assert main(["image", "--prompt", "refuse", "--out", str(tmp_path / "image.png")]) == status

    error = capsys.readouterr().err
    assert error.startswith("python -m inference image: ")
    assert error.count("\n") == 1
    assert told in error
    assert list(tmp_path.iterdir()) == []


def test_a_deadline_is_told_by_its_flag(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "image.png")

    assert main(["image", "--prompt", "hang", "--out", out, "--deadline", "0.2"]) == 1

    assert capsys.readouterr().err.endswith("--deadline: not finished within 0.2 s\n")


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_call_that_ends_early_is_a_failure(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: str
) -> None:
    assert main(["image", "--prompt", "short", "--out", str(tmp_path / "a.png"), "--count", count]) == 1

    assert f"{int(count) - 1} of {count} pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["image", "--prompt", "x", "--out", "{}/a.png"], ["models"], ["cancel", "r1"]]
)
def test_no_service_is_told_with_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    nowhere = f"unix:{tmp_path}/nobody.sock"

    assert main([*(word.format(tmp_path) for word in command), "--address", nowhere]) == 1

    error = capsys.readouterr().err
    assert f"no service at {nowhere}: start it by `python -m inference --listen {nowhere}`" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "--prompt"),
        (["--prompt", "x", "--width", "wide"], "--width"),
        (["--prompt", "x", "--width", "99999999999"], "--width: 99999999999 does not fit"),
        (["--prompt", "x", "--count", "65"], "--count: must be 1 to 64, got '65'"),
        (["--prompt", "x", "--out", "a.tif"], "--out: must end in .png, .jpg, .jpeg, .webp"),
        (["--prompt", "x", "--out", "no/such/folder/a.png"], "--out: there is no folder"),
        (["--prompt", "x", "--source", "nowhere.png"], "--source: nowhere.png: No such file"),
        (
            ["--prompt", "x", "--address", "nowhere"],
            "--address: must be HOST:PORT or unix:PATH, got 'nowhere'",
        ),
        (["--prompt", "x", "--deadline", "0"], "--deadline: must be seconds, above 0"),
        (["--prompt", "\udcff"], "--prompt"),
        (["--prompt", "x", "--context", "\udcff"], "--context"),
        (["--prompt", "x", "--colour", "red"], "--colour"),
    ],
)
def test_a_wrong_flag_is_told_before_anybody_is_asked(
    capsys: pytest.CaptureFixture[str], flags: list[str], told: str
) -> None:
    assert main(["image", *flags]) == 2

    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_ctrl_c_cancels_the_request_at_the_service(
    address: str, service: FakeService, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "inference", "image", "--prompt", "hang", "--out", "image.png"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.hanging.wait(SOON_S)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=SOON_S)
    finally:
        process.kill()

    assert process.returncode == 130
    assert error == "python -m inference image: interrupted\n"
    assert service.released.wait(SOON_S), "the service was not told"
    assert list(tmp_path.iterdir()) == []


def test_models_are_a_table(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0

    lines = capsys.readouterr().out.splitlines()
    columns = ["MODEL", "STATE", "SIZE", "DEFAULT", "DEVICE", "SPEED", "LICENCE"]
    assert lines[0].split() == columns
    turbo = next(line for line in lines if line.startswith("turbo *"))
    for told in (
        "not loaded, no weights",
        "6.9 GB",
        "512x512, 1 step",
        "3.25 MP/s",
        "Stability AI Community",
    ):
        assert told in turbo
    assert "broken failed: no unet in it" in lines
    assert any(line.split() == ["oil", "Oil", "on", "canvas"] for line in lines)
    assert any(line.startswith("photo ") for line in lines)


def test_models_are_json_for_programs(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["default_model"] == "turbo"
    assert answer["models"][1]["state"] == "STATE_READY"
    assert answer["models"][1]["max_batch"] == 0


@pytest.mark.parametrize(
    ("request_id", "told"), [("r1", "3 pictures given up\n"), ("r2", "no unfinished picture of request r2\n")]
)
def test_a_request_is_cancelled_by_its_id(
    address: str, service: FakeService, capsys: pytest.CaptureFixture[str], request_id: str, told: str
) -> None:
    assert main(["cancel", request_id]) == 0

    assert service.cancelled_ids == [request_id]
    assert capsys.readouterr().out.endswith(told)


def test_help_lists_the_commands_and_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(f"  {command} " in told for command in COMMANDS)
    assert "--max-waiting" in told


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "serve"])
def test_each_command_has_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    assert "--address" in capsys.readouterr().out


def test_an_unknown_command_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["imagine"]) == 2

    assert capsys.readouterr().err == (
        "python -m inference: 'imagine' is none of serve, image, models, cancel, doctor\n"
    )


@pytest.mark.parametrize("words", [["serve", "--port", "-1"], ["--port", "-1"]])
def test_serving_is_a_command_and_what_happens_without_one(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    assert "--port" in capsys.readouterr().err


def test_commands_look_where_the_service_is_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DEFAULT_ADDRESS == DEFAULT_LISTEN
    monkeypatch.delenv("PSYCHE_INFERENCE", raising=False)
    assert default_address() == DEFAULT_ADDRESS
    # The server's own child serves nobody else.
    monkeypatch.setenv("PSYCHE_INFERENCE", "embedded")
    assert default_address() == DEFAULT_ADDRESS
    monkeypatch.setenv("PSYCHE_INFERENCE", "other:1")
    assert default_address() == "other:1"
