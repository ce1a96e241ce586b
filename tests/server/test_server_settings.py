"""The settings, by variable, by `.env` and by flag."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from server.errors import ConfigurationError
from server.settings import DEFAULT_PROMPT, OLDER_NAMES, Settings, load
from server.streaming.tiers.tier import ORIGINAL, Tier


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours and no `.env` of the developer."""
    for name in tuple(os.environ):
        if name.upper().startswith("PSYCHE_") or name.lower() in OLDER_NAMES:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


# Every setting: a value other than the default, as it is written, and what it is then.
GIVEN: dict[str, tuple[str, Any]] = {
    "host": ("localhost", "localhost"),
    "port": ("0", 0),
    "token": ("open sesame", "open sesame"),
    "insecure": ("true", True),
    "allowed_hosts": ("wall.example, [fe80::1]", ("wall.example", "[fe80::1]")),
    "allowed_origins": ("https://a.example,http://b:81", ("https://a.example", "http://b:81")),
    "canvases": (" one,two , 3", ("one", "two", "3")),
    "size": ("1920x1080", "1920x1080"),
    "fps": ("0.5", 0.5),
    "default_prompt": ("a fox", "a fox"),
    "stage": ("show", "show"),
    "max_canvases": ("7", 7),
    "max_subscribers": ("70", 70),
    "queue_max_size": ("3", 3),
    "tiers": ("original, JPEG-50-85", (ORIGINAL, Tier(0.5, "jpeg", 85))),
    "encoder_threads": ("3", 3),
    "send_deadline_s": ("1.5", 1.5),
    "inference": ("gpu.example:50051", "gpu.example:50051"),
    "media_root": ("/srv/pictures", Path("/srv/pictures")),
    "log_level": ("WARNING", "warning"),
    "log_format": ("json", "json"),
}


def value_of(settings: Settings, name: str) -> Any:
    value = getattr(settings, name)
    return value.get_secret_value() if name == "token" and value is not None else value


def test_every_setting_is_in_the_table() -> None:
    assert set(GIVEN) == set(Settings.model_fields)
    defaults = load([])
    assert all(value_of(defaults, name) != value for name, (_, value) in GIVEN.items())


@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    written, value = GIVEN[name]
    monkeypatch.setenv(f"PSYCHE_{name.upper()}", written)

    assert value_of(load([]), name) == value


@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_is_read_from_the_env_file(tmp_path: Path, name: str) -> None:
    written, value = GIVEN[name]
    (tmp_path / ".env").write_text(f'PSYCHE_{name.upper()}="{written}"\nUNRELATED=1\n')

    assert value_of(load([]), name) == value


@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_is_read_from_its_flag_which_wins(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    written, value = GIVEN[name]
    flag = "--" + name.replace("_", "-")
    if name == "insecure":
        monkeypatch.setenv("PSYCHE_INSECURE", "false")

    assert value_of(load([flag] if name == "insecure" else [flag, written]), name) == value


def test_flags_win_over_variables_and_these_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PSYCHE_PORT=1\n")
    assert load([]).port == 1
    monkeypatch.setenv("PSYCHE_PORT", "2")
    assert load([]).port == 2
    assert load(["--port", "3"]).port == 3


def test_a_repeated_flag_adds_to_a_list() -> None:
    assert load(["--canvases", "a", "--canvases", "b,c"]).canvases == ("a", "b", "c")


OLDER = {"API_HOST": "host", "API_PORT": "port", "QUEUE_MAX_SIZE": "queue_max_size", "LOG_LEVEL": "log_level"}
OLDER_VALUES = {"host": "localhost", "port": "0", "queue_max_size": "3", "log_level": "WARNING"}
NEWER_VALUES = {"host": "::1", "port": "9", "queue_max_size": "4", "log_level": "debug"}


@pytest.mark.parametrize(("older", "name"), OLDER.items())
@pytest.mark.parametrize("place", ["environment", "file"])
def test_variables_of_the_earlier_programs_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, older: str, name: str, place: str
) -> None:
    if place == "file":
        (tmp_path / ".env").write_text(f"{older}={OLDER_VALUES[name]}\n")
    else:
        monkeypatch.setenv(older, OLDER_VALUES[name])

    assert value_of(load([]), name) == GIVEN[name][1]


@pytest.mark.parametrize(("older", "name"), OLDER.items())
@pytest.mark.parametrize("place", ["environment", "file"])
def test_the_prefixed_variable_wins_over_the_older_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, older: str, name: str, place: str
) -> None:
    monkeypatch.setenv(older, OLDER_VALUES[name])
    if place == "file":
        (tmp_path / ".env").write_text(f"PSYCHE_{name.upper()}={NEWER_VALUES[name]}\n")
    else:
        monkeypatch.setenv(f"PSYCHE_{name.upper()}", NEWER_VALUES[name])

    assert str(value_of(load([]), name)) == NEWER_VALUES[name]


# Setting, value, and a word of what is accepted.
WRONG = [
    ("port", "http", "integer"),
    ("port", "65536", "65535"),
    ("port", "-1", "0"),
    ("insecure", "perhaps", "boolean"),
    ("allowed_hosts", "http://wall.example", "without scheme and port"),
    ("allowed_hosts", "wall.example:8000", "without scheme and port"),
    ("allowed_hosts", "*", "without scheme and port"),
    ("allowed_origins", "null", "scheme://host"),
    ("allowed_origins", "https://a.example/", "scheme://host"),
    ("allowed_origins", "a.example", "scheme://host"),
    ("canvases", "Left", "a-z"),
    ("canvases", "a,a", "once"),
    ("canvases", "x" * 65, "64"),
    ("size", "512", "WIDTHxHEIGHT"),
    ("size", "513x512", "multiple of 8"),
    ("size", "32x64", "64"),
    ("size", "4104x512", "4096"),
    ("size", "512X512", "512x512"),
    ("size", "٥١٢x512", "512x512"),
    ("fps", "0", "0.1"),
    ("fps", "61", "60"),
    ("fps", "nan", "60"),
    ("default_prompt", "x" * 2001, "2000 characters"),
    ("default_prompt", "|" * 8001, "8000"),
    ("stage", "The Stage", "a-z"),
    ("max_canvases", "0", "1"),
    ("max_subscribers", "many", "integer"),
    ("queue_max_size", "0", "1"),
    ("tiers", "", "FORMAT-PERCENT-QUALITY"),
    ("tiers", "original,png-50-85", "'png-50-85' is no tier: 'original', or jpeg or webp"),
    ("encoder_threads", "0", "1"),
    ("encoder_threads", "65", "64"),
    ("send_deadline_s", "0", "0"),
    ("send_deadline_s", "inf", "86400"),
    ("send_deadline_s", "nan", "0"),
    ("inference", "", "host:port"),
    ("inference", "gpu.example", "unix:/path"),
    ("inference", "http://gpu.example:50051", "'embedded'"),
    ("inference", "unix:relative", "unix:/path"),
    ("log_level", "loud", "'warning'"),
    ("log_format", "xml", "'console'"),
]


@pytest.mark.parametrize(("name", "written", "accepted"), WRONG)
@pytest.mark.parametrize("way", ["variable", "flag"])
def test_a_wrong_value_is_told_with_the_variable_and_what_it_accepts(
    monkeypatch: pytest.MonkeyPatch, name: str, written: str, accepted: str, way: str
) -> None:
    flag = f"--{name.replace('_', '-')}={written}"
    if way == "variable" or name == "insecure":
        monkeypatch.setenv(f"PSYCHE_{name.upper()}", written)
        flag = ""

    with pytest.raises(ConfigurationError) as told:
        load([flag] if flag else [])

    message = str(told.value)
    assert message.startswith(f"PSYCHE_{name.upper()}: ")
    assert accepted in message
    assert "\n" not in message


def test_a_wrong_value_under_an_older_name_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "nine")

    with pytest.raises(ConfigurationError, match=r"PSYCHE_PORT: .*'nine'"):
        load([])


def test_several_wrong_values_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSYCHE_PORT", "x")
    monkeypatch.setenv("PSYCHE_FPS", "y")

    with pytest.raises(ConfigurationError, match=r"PSYCHE_PORT: .*; PSYCHE_FPS: "):
        load([])


def test_more_canvases_than_there_may_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"PSYCHE_CANVASES names 3.* PSYCHE_MAX_CANVASES allows 2"):
        load(["--canvases", "a,b,c", "--max-canvases", "2"])


def test_a_flag_that_does_not_exist_ends_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load(["--prot", "80"])

    assert ended.value.code == 2
    assert "--prot" in capsys.readouterr().err


OPEN_HOSTS = ["0.0.0.0", "::", "192.168.1.5", "wall.example", ""]
LOOPBACK_HOSTS = ["127.0.0.1", "127.8.8.8", "::1", "localhost"]


@pytest.mark.parametrize("host", OPEN_HOSTS)
def test_an_address_that_others_can_reach_needs_a_token_or_insecure(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"PSYCHE_TOKEN.*--insecure"):
        load([f"--host={host}"])
    for empty in ("", "  "):
        with pytest.raises(ConfigurationError, match=r"PSYCHE_TOKEN.*--insecure"):
            load([f"--host={host}", f"--token={empty}"])

    assert load([f"--host={host}", "--token", "x"]).token is not None
    assert load([f"--host={host}", "--insecure"]).insecure


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_a_loopback_address_needs_none(host: str) -> None:
    settings = load(["--host", host])

    assert settings.is_loopback
    assert settings.token is None


def test_an_empty_token_is_none_and_space_around_one_is_not_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PSYCHE_TOKEN", "")
    assert load([]).token is None
    monkeypatch.setenv("PSYCHE_TOKEN", " open sesame\n")
    token = load([]).token
    assert token is not None
    assert token.get_secret_value() == "open sesame"


def test_the_token_is_in_no_message_and_no_description(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PSYCHE_TOKEN", "open sesame")
    settings = load([])
    assert "sesame" not in repr(settings) + str(settings) + str(settings.model_dump())

    with pytest.raises(SystemExit):
        load(["--help"])
    assert "sesame" not in capsys.readouterr().out

    for wrong in (["--port", "x"], ["--max-canvases", "1"], ["--stage", "A"]):
        with pytest.raises(ConfigurationError) as told:
            load([*wrong, "--token", "open sesame"])
        assert "sesame" not in str(told.value)


def test_help_lists_every_setting_with_its_description(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load(["--help"])

    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, setting in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in shown or f"--{name.replace('_', '-')}, " in shown
        assert setting.description
        assert setting.description.split(",")[0] in shown


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load([]).port = 1  # type: ignore[misc] # this is what is tested


def test_sizes_and_prompts_are_told_apart() -> None:
    settings = load(["--size", "1920x1080", "--default-prompt", " a fox | | a crow "])

    assert (settings.width, settings.height) == (1920, 1080)
    assert settings.default_prompts == ("a fox", "a crow")
    assert load(["--default-prompt", ""]).default_prompts == ()
    assert len(load([]).default_prompts) == DEFAULT_PROMPT.count("|") + 1
