"""Flags and variables of `python -m inference`."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.errors import ConfigurationError
from inference.listening import TcpAddress, UnixAddress
from inference.settings import Settings, load


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own settings and `.env` out."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PSYCHE_INFERENCE_{name.upper()}", raising=False)


def test_the_defaults_serve_this_machine_only() -> None:
    settings = load([])

    assert settings.address == TcpAddress("127.0.0.1", 50051)
    assert (settings.engine, settings.max_waiting, settings.encode_threads) == ("auto", 64, 2)
    assert not settings.supervised


@pytest.mark.parametrize("name", Settings.model_fields)
def test_help_lists_every_setting(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load(["--help"])

    assert ended.value.code == 0
    assert f"--{name.replace('_', '-')}" in capsys.readouterr().out


def test_a_flag_wins_over_its_variable_which_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("MAX_WAITING", "ENCODE_THREADS", "MODEL")
    (tmp_path / ".env").write_text("".join(f"PSYCHE_INFERENCE_{name}=3\n" for name in names))
    monkeypatch.setenv("PSYCHE_INFERENCE_MAX_WAITING", "4")
    monkeypatch.setenv("PSYCHE_INFERENCE_ENCODE_THREADS", "4")

    settings = load(["--max-waiting", "5"])

    assert (settings.max_waiting, settings.encode_threads, settings.model) == (5, 4, "3")


def test_the_flags_of_the_first_service_still_work() -> None:
    arguments = "--port 50051 --model-dir ./models --max-models 2 --max-disk-cache 10 --cleanup-interval 300"

    settings = load(arguments.split())

    assert settings.address == TcpAddress("127.0.0.1", 50051)
    assert (settings.model_dir, settings.max_models) == (Path("models"), 2)
    assert (settings.max_disk_bytes, settings.cleanup_interval) == (10 * 10**9, 300.0)


def test_models_have_what_the_device_has_unless_told_otherwise() -> None:
    assert load([]).max_model_bytes is None
    assert load(["--max-model-memory", "7.5"]).max_model_bytes == 7_500_000_000


def test_what_was_set_is_known_from_what_was_left_open() -> None:
    assert not load([]).is_given("model_dir")
    assert load(["--model-dir", "data/models"]).is_given("model_dir")


def test_downloads_may_be_turned_off() -> None:
    assert load([]).download
    assert not load(["--no-download"]).download


def test_the_address_may_be_a_socket_file_or_a_port() -> None:
    assert load(["--listen", "unix:/run/s"]).address == UnixAddress(Path("/run/s"))
    assert load(["--port", "1234"]).address == TcpAddress("127.0.0.1", 1234)


def test_either_form_of_address_as_a_flag_wins_over_the_other_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PSYCHE_INFERENCE_LISTEN", "127.0.0.1:1")
    assert load(["--port", "2"]).address == TcpAddress("127.0.0.1", 2)

    monkeypatch.delenv("PSYCHE_INFERENCE_LISTEN")
    monkeypatch.setenv("PSYCHE_INFERENCE_PORT", "1")
    assert load(["--listen", "127.0.0.1:2"]).address == TcpAddress("127.0.0.1", 2)


def test_other_machines_are_served_only_in_so_many_words() -> None:
    assert load(["--listen", "0.0.0.0:50051", "--insecure"]).address == TcpAddress("0.0.0.0", 50051)
    with pytest.raises(ConfigurationError, match=r"^--listen must be a loopback address unless --insecure"):
        load(["--listen", "0.0.0.0:50051"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--max-waiting", "0"],
            "--max-waiting (PSYCHE_INFERENCE_MAX_WAITING): input should be greater than",
        ),
        (["--engine", "magic"], "--engine (PSYCHE_INFERENCE_ENGINE): input should be 'auto', 'procedural'"),
        (["--grace-period-s", "nan"], "--grace-period-s (PSYCHE_INFERENCE_GRACE_PERIOD_S): input should be"),
        (["--port", "x"], "--port (PSYCHE_INFERENCE_PORT): input should be a valid integer"),
        (["--port", "70000"], "--port (PSYCHE_INFERENCE_PORT): input should be less than or equal to 65535"),
        (["--model-dir", __file__], "--model-dir (PSYCHE_INFERENCE_MODEL_DIR): must be a folder, got"),
        (["--max-models", "0"], "--max-models (PSYCHE_INFERENCE_MAX_MODELS): input should be greater than"),
        (["--max-disk-cache", "-1"], "--max-disk-cache (PSYCHE_INFERENCE_MAX_DISK_CACHE): input should be"),
        (["--max-disk-cache", "inf"], "--max-disk-cache (PSYCHE_INFERENCE_MAX_DISK_CACHE): input should be"),
        (["--max-model-memory", "nan"], "--max-model-memory (PSYCHE_INFERENCE_MAX_MODEL_MEMORY): input"),
        (["--cleanup-interval", "0"], "--cleanup-interval (PSYCHE_INFERENCE_CLEANUP_INTERVAL): input should"),
        (["--unload-after-s", "-1"], "--unload-after-s (PSYCHE_INFERENCE_UNLOAD_AFTER_S): input should be"),
        (["--dtype", "int8"], "--dtype (PSYCHE_INFERENCE_DTYPE): input should be 'auto', 'bfloat16'"),
        (["--acceleration", "magic"], "--acceleration (PSYCHE_INFERENCE_ACCELERATION): input should be"),
        (["--metrics-port", "70000"], "--metrics-port (PSYCHE_INFERENCE_METRICS_PORT): input should be less"),
        (["--listen", "here"], "--listen must be HOST:PORT or unix:PATH, got 'here'"),
        (["--listen", "127.0.0.1:1", "--port", "2"], "--listen and --port must not both be given"),
        (["--colour"], "unrecognized arguments: --colour (see --help)"),
        (["--listen"], "argument --listen: expected one argument (see --help)"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(arguments)

    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
