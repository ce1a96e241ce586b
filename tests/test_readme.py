"""The README tells every setting, close code, error code, route and wire field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.metrics import Metrics
from inference.models.catalogue import built_in
from inference.settings import Settings as InferenceSettings
from server import errors
from server.app import make_app
from server.metrics import CATALOGUE
from server.settings import Settings
from server.streaming.wire import CloseCode


ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
INFERENCE_README = (ROOT / "inference/README.md").read_text()
STREAMING_README = (ROOT / "server/streaming/README.md").read_text()
GOLDEN = json.loads((ROOT / "tests/golden/index.json").read_text())


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_told(name: str) -> None:
    assert f"| `PSYCHE_{name.upper()}` |" in README


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_is_told(code: CloseCode) -> None:
    assert f"| {int(code)} |" in README or f" {int(code)} " in README


def every_error() -> list[type[errors.PsycheError]]:
    found = [errors.PsycheError]
    for error in found:
        found.extend(error.__subclasses__())
    # Configuration errors end the start, and the base class of inference errors is never raised.
    return [error for error in found if error not in (errors.ConfigurationError, errors.InferenceError)]


@pytest.mark.parametrize("error", every_error())
def test_every_error_code_is_told(error: type[errors.PsycheError]) -> None:
    assert f"| `{error.code}` |" in README


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: entry["file"])
def test_every_wire_field_is_told(entry: dict[str, object]) -> None:
    message = entry["message"]
    assert isinstance(message, dict)
    for field in message:
        assert f"`{field.removesuffix('_hex')}`" in README, field


def test_every_route_is_told() -> None:
    app = make_app(Settings(_env_file=None))  # type: ignore[call-arg] # pydantic-settings' own
    paths = {route.resource.canonical for route in app.router.routes() if route.resource}

    # The last part is enough: the table writes siblings as `…/queue/skip`.
    missing = {path for path in paths if f"/{path.rpartition('/')[2]}" not in README}

    assert missing <= {"/favicon.ico", "/static/{name}"}


@pytest.mark.parametrize("name", InferenceSettings.model_fields)
def test_every_setting_of_the_inference_service_is_told(name: str) -> None:
    assert f"| `--{name.replace('_', '-')}` |" in INFERENCE_README


@pytest.mark.parametrize("name", built_in())
def test_every_model_is_told(name: str) -> None:
    assert f"| `{name}` |" in INFERENCE_README


def test_every_metric_that_is_counted_is_told() -> None:
    own = [metric.name for metric in Metrics().registry.collect() if metric.name.startswith("psyche_")]

    assert own
    for name in own:
        assert f"`{name.removeprefix('psyche_inference_')}" in INFERENCE_README, name


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_metric_of_the_server_is_told(name: str) -> None:
    about = CATALOGUE[name]
    full = f"{name}_total" if about.is_counter else name
    labels = ", ".join(f"`{label}`" for label in about.labels) or "–"

    assert f"| `{full}` | {labels} | {about.text.rstrip('.')} |" in STREAMING_README
