"""What may be asked for: the models that come with the service, and those of a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inference.errors import ConfigurationError
from inference.models.catalogue import DEFAULT_MODEL, built_in, read_catalogue
from inference.models.entry import CatalogueEntry, Weights
from inference.models.painter import PainterLoader
from inference.models.places import is_hub_id


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "models.toml"
    file.write_text(text, encoding="utf-8")
    return file


def read(tmp_path: Path, text: str) -> dict[str, CatalogueEntry]:
    return read_catalogue(write(tmp_path, text))


def test_the_service_comes_with_these_models() -> None:
    entries = built_in()

    assert list(entries) == [
        "sdxl-turbo",
        "sd-turbo",
        "sdxl-base",
        "pixel-art-xl",
        "stable-diffusion-1.5",
        "procedural",
    ]
    assert next(iter(entries)) == DEFAULT_MODEL
    assert all(name == entry.model.name for name, entry in entries.items())


def test_looking_for_models_and_weights_needs_no_library_of_theirs() -> None:
    code = (
        "import sys; from pathlib import Path; from inference.models import catalogue, house, weights;"
        "store = weights.WeightStore(Path('/nowhere'), environ={'HF_HOME': '/nowhere'});"
        "assert not any(store.find(entry) for entry in catalogue.built_in().values() if entry.place);"
        "print(sorted({'torch', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout == "[]\n"


def test_turbo_models_take_one_step_and_no_guidance() -> None:
    for name in ("sdxl-turbo", "sd-turbo"):
        model = built_in()[name].model
        assert (model.default_width, model.default_height, model.default_steps) == (512, 512, 1)
        assert (model.default_guidance_scale, model.uses_guidance, model.uses_negative_prompt) == (
            0,
            False,
            False,
        )
        assert "sai-nc-community" in model.license


def test_the_other_models_are_guided() -> None:
    entries = built_in()

    assert entries["sdxl-base"].model.default_steps == 30
    assert entries["sdxl-base"].model.default_width == 1024
    assert entries["stable-diffusion-1.5"].model.default_guidance_scale == 7.5
    assert entries["stable-diffusion-1.5"].model.default_steps == 20
    for name in ("sdxl-base", "pixel-art-xl", "stable-diffusion-1.5"):
        assert entries[name].model.uses_guidance
        assert entries[name].model.uses_negative_prompt
        assert entries[name].model.paints_from_mask


def test_pixel_art_is_sdxl_with_a_lora_and_its_words() -> None:
    entries = built_in()
    pixel_art = entries["pixel-art-xl"]

    assert pixel_art.place == entries["sdxl-base"].place
    assert pixel_art.lora == "nerijs/pixel-art-xl"
    assert pixel_art.model.prompt_template == "pixel, {prompt}"


def test_every_network_has_hub_ids_and_answers_to_its_own() -> None:
    for entry in built_in().values():
        if entry.family == "procedural":
            assert entry.place == ""
            continue
        for place in (entry.place, entry.lora or entry.place, entry.tiny_autoencoder):
            assert is_hub_id(place)
        assert {entry.place, entry.lora} & set(entry.aliases)
    assert "runwayml/stable-diffusion-v1-5" in built_in()["stable-diffusion-1.5"].aliases


def test_no_name_means_two_models() -> None:
    names = [name for entry in built_in().values() for name in (entry.model.name, *entry.aliases)]

    assert sorted(names) == sorted(set(names))


def test_the_painter_describes_itself() -> None:
    entry = built_in()["procedural"]

    engine = PainterLoader().load(entry, Weights())

    assert engine.model == entry.model
    assert PainterLoader().free_bytes() is None


def test_a_file_adds_a_model(tmp_path: Path) -> None:
    entries = read(
        tmp_path,
        f"""
        [models.my-turbo]
        place = "{tmp_path}"
        family = "sdxl"
        description = "Our own"
        tiny_autoencoder = "madebyollin/taesdxl"
        default_steps = 2
        aliases = ["mine"]
        """,
    )

    mine = entries["my-turbo"]
    assert list(entries)[-1] == "my-turbo"
    assert (mine.place, mine.family, mine.aliases) == (str(tmp_path), "sdxl", ("mine",))
    assert mine.tiny_autoencoder == "madebyollin/taesdxl"
    assert (mine.model.description, mine.model.engine, mine.model.default_steps) == ("Our own", "sdxl", 2)
    assert not mine.model.uses_guidance


def test_a_guided_default_means_a_guided_model(tmp_path: Path) -> None:
    entries = read(
        tmp_path,
        """
        [models.guided]
        place = "a/b"
        family = "sd"
        default_guidance_scale = 5
        [models.odd]
        place = "a/b"
        family = "sd"
        default_guidance_scale = 5.0
        uses_negative_prompt = false
        """,
    )

    assert entries["guided"].model.default_guidance_scale == 5.0
    assert entries["guided"].model.uses_guidance
    assert entries["guided"].model.uses_negative_prompt
    assert not entries["odd"].model.uses_negative_prompt


def test_a_file_points_a_built_in_model_elsewhere(tmp_path: Path) -> None:
    entries = read(tmp_path, f'[models.sdxl-turbo]\nplace = "{tmp_path}"')

    assert entries["sdxl-turbo"].place == str(tmp_path)
    assert entries["sdxl-turbo"].model == built_in()["sdxl-turbo"].model
    assert entries["sdxl-turbo"].aliases == ("stabilityai/sdxl-turbo",)
    assert list(entries) == list(built_in())


def test_a_file_may_take_a_part_away(tmp_path: Path) -> None:
    assert read(tmp_path, '[models.sdxl-turbo]\nautoencoder = ""')["sdxl-turbo"].autoencoder == ""


MY = '[models.my]\nplace = "a/b"\nfamily = "sdxl"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = [", "is not TOML"),
        ("", r"models: must be tables, \[models.<name>\] each"),
        ("models = 3", "must be tables"),
        ("[model.my]\nplace = 1", "model: unknown key; accepted: models"),
        ("[models]\nmy = 3", r"models\.my: must be a table"),
        ('[models."My Model"]\nplace = "a/b"', "models.My Model: a name must be 1 to 64 of a-z"),
        ('[models."../x"]\nplace = "a/b"', "a name must be"),
        ("[models.procedural]\ndescription = 'x'", "models.procedural: the painter cannot be replaced"),
        (MY + "colour = 1", "models.my.colour: unknown key; accepted: place, family, description"),
        ('[models.my]\nplace = "a/b"', "models.my.family: must be given"),
        ('[models.my]\nfamily = "sd"', "models.my.place: must be given"),
        (MY.replace('"sdxl"', '"flux"'), "models.my.family: input should be 'sdxl' or 'sd', got 'flux'"),
        (MY.replace("a/b", "models"), r"must be a hub id \(owner/name\) or an absolute path, got 'models'"),
        (MY.replace("a/b", "./models/x"), r"models.my.place: must be a hub id \(owner/name\) or an absolute"),
        (MY.replace("a/b", "../x"), "models.my.place: must be a hub id"),
        (MY.replace("a/b", "/no/such/folder"), "models.my.place: must be a path that exists"),
        (MY.replace('"a/b"', "3"), "models.my.place: input should be a valid string, got 3"),
        (MY + 'lora = "x"', "models.my.lora: must be a hub id"),
        (MY + 'default_steps = "2"', "models.my.default_steps: input should be a valid integer, got '2'"),
        (MY + "default_steps = 101", "models.my.default_steps: input should be less than or equal to 100"),
        (MY + "max_steps = 4\ndefault_steps = 8", "models.my.default_steps: must be at most max_steps, 4"),
        (MY + "default_width = 500", "models.my.default_width: must be a multiple of 8, got 500"),
        (MY + "max_size = 256", "models.my.default_width: must be min_size to max_size, 128 to 256, got 512"),
        (MY + "min_size = 4096", "models.my.min_size: must be at most max_size, 2048"),
        (MY + "lora_scale = nan", "models.my.lora_scale"),
        (MY + 'prompt_template = "pixel"', r'must have "\{prompt\}" in it, once'),
        (MY + 'description = """a\nb"""', "models.my.description"),
        (MY + 'aliases = ["sd-turbo"]', "models.my.aliases: 'sd-turbo' already means sd-turbo"),
        (MY + 'aliases = ["stabilityai/sd-turbo"]', "'stabilityai/sd-turbo' already means sd-turbo"),
        (MY + 'aliases = [""]', "models.my.aliases.0"),
    ],
)
def test_what_is_not_accepted_is_told_with_file_model_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as told:
        read(tmp_path, text)

    assert str(told.value).startswith(str(tmp_path / "models.toml"))
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml: cannot be read: No such file"):
        read_catalogue(tmp_path / "absent.toml")
