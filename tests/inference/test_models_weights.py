"""Where weights lie, whether they are whole, and how they come here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from weight_folders import TENSOR_BYTES, FakeHub, model_files, pipeline_files, tensors, write, write_repo

from inference.engine import ModelDescription
from inference.errors import ModelLoadError
from inference.models import downloads
from inference.models.checks import NotWholeError, check_model, check_pipeline, choose_files, find_lora
from inference.models.entry import CatalogueEntry
from inference.models.parts import hub_ids
from inference.models.places import is_hub_id, is_offline, repo_folder, shared_cache
from inference.models.record import Record
from inference.models.weights import WeightStore


HUB_ID = "owner/pipe"
TINY = "owner/tiny"
MODEL = ModelDescription("m", "M", "sdxl", is_neural=True)
ENTRY = CatalogueEntry(MODEL, "sdxl", HUB_ID)
NETWORKS = 4
NETWORK_BYTES = len(tensors())


def store(folder: Path, *, environ: dict[str, str] | None = None, **keys: Any) -> WeightStore:
    """Make a store that sees this folder only."""
    keys.setdefault("hub", FakeHub())
    environ = {"HF_HOME": str(folder / "hf"), **(environ or {})}
    return WeightStore(folder / "models", environ=environ, **keys)


def test_a_folder_of_the_models_name_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "models" / "m", pipeline_files())

    found = store(tmp_path).find(ENTRY)

    assert found is not None
    assert found.pipeline == folder
    assert found.size_bytes == NETWORKS * NETWORK_BYTES
    assert found.tiny_autoencoder is None


def test_a_folder_of_the_hub_ids_last_part_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "models" / "pipe", pipeline_files())

    found = store(tmp_path).find(ENTRY)

    assert found is not None
    assert found.pipeline == folder


def test_a_folder_of_another_model_of_the_same_pipeline_is_found(tmp_path: Path) -> None:
    entry = CatalogueEntry(MODEL, "sdxl", "stabilityai/stable-diffusion-xl-base-1.0")
    folder = write(tmp_path / "models" / "sdxl-base", pipeline_files())

    found = store(tmp_path).find(entry)

    assert found is not None
    assert found.pipeline == folder


@pytest.mark.parametrize("cache", ["hf/hub", "models/hub"])
def test_the_hubs_cache_and_our_downloads_are_searched(tmp_path: Path, cache: str) -> None:
    snapshot = write_repo(tmp_path / cache, HUB_ID, pipeline_files())

    found = store(tmp_path).find(ENTRY)

    assert found is not None
    assert found.pipeline == snapshot


def test_a_whole_state_is_taken_where_the_newest_is_not(tmp_path: Path) -> None:
    whole = write_repo(tmp_path / "hf/hub", HUB_ID, pipeline_files(), commit="a" * 40, is_main=False)
    write_repo(tmp_path / "hf/hub", HUB_ID, {"model_index.json": b"{}"}, commit="b" * 40)

    found = store(tmp_path).find(ENTRY)

    assert found is not None
    assert found.pipeline == whole


def test_an_absolute_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "elsewhere", pipeline_files("sd", variant="fp16"))
    entry = CatalogueEntry(MODEL, "sd", str(folder))

    found = store(tmp_path).find(entry)

    assert found is not None
    assert found.pipeline == folder


def test_every_part_is_found_by_its_own_place(tmp_path: Path) -> None:
    entry = CatalogueEntry(
        MODEL, "sdxl", HUB_ID, lora="owner/m", tiny_autoencoder=TINY, autoencoder=str(tmp_path / "vae")
    )
    # The pipeline and the LoRA would both be called "m": each is known by what it is.
    write(tmp_path / "models" / "m", {"style.safetensors": tensors()})
    write(tmp_path / "models" / "pipe", pipeline_files())
    write_repo(tmp_path / "hf/hub", TINY, model_files())
    write(tmp_path / "vae", model_files())

    found = store(tmp_path).find(entry)

    assert found is not None
    assert found.lora == tmp_path / "models" / "m" / "style.safetensors"
    assert found.tiny_autoencoder is not None
    assert found.autoencoder == tmp_path / "vae"
    assert found.size_bytes == (NETWORKS + 3) * NETWORK_BYTES


def test_a_tiny_autoencoder_that_is_missing_or_broken_does_not_stop_a_model(tmp_path: Path) -> None:
    write(tmp_path / "models" / "m", pipeline_files())
    write(tmp_path / "models" / "tiny", {"config.json": b"{}"})

    found = store(tmp_path, download=False).provide(
        CatalogueEntry(MODEL, "sdxl", HUB_ID, tiny_autoencoder=TINY, autoencoder="owner/vae")
    )

    assert found.tiny_autoencoder is None
    assert found.autoencoder is None


def test_a_lora_that_is_missing_does(tmp_path: Path) -> None:
    write(tmp_path / "models" / "m", pipeline_files())

    with pytest.raises(ModelLoadError, match="no lora owner/style"):
        store(tmp_path, download=False).provide(CatalogueEntry(MODEL, "sdxl", HUB_ID, lora="owner/style"))


def test_what_is_not_there_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError) as told:
        store(tmp_path, download=False).provide(ENTRY)

    for text in (
        "owner/pipe",
        "models/m",
        "models/pipe",
        "hf/hub",
        "models/hub",
        "downloads are off",
        "README",
    ):
        assert text in told.value.reason
    assert store(tmp_path).find(ENTRY) is None
    assert "was looked for" in store(tmp_path).explain(ENTRY)


def test_a_broken_folder_of_somebodys_own_is_told_and_not_replaced(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()
    write(tmp_path / "models" / "m", {**pipeline_files(), "unet/config.json": b"["})

    with pytest.raises(ModelLoadError, match=r"models/m: unet/config.json is not JSON"):
        store(tmp_path, hub=hub).provide(ENTRY)

    assert hub.fetched == {}


def test_an_offline_environment_forbids_downloads(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()

    with pytest.raises(ModelLoadError, match="HF_HUB_OFFLINE is set"):
        store(tmp_path, hub=hub, environ={"HF_HUB_OFFLINE": "1"}).provide(ENTRY)

    assert hub.fetched == {}


def test_a_download_takes_exactly_what_the_pipeline_needs(tmp_path: Path) -> None:
    hub = FakeHub()
    needed = pipeline_files(variant="fp16")
    hub.repos[HUB_ID] = {
        **needed,
        "unet/diffusion_pytorch_model.safetensors": tensors(),
        "unet/diffusion_pytorch_model.non_ema.safetensors": tensors(),
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/model.onnx": b"onnx",
        "safety_checker/model.safetensors": tensors(),
        "sd_xl_turbo_1.0.safetensors": tensors(),
        "README.md": b"#",
    }

    found = store(tmp_path, hub=hub).provide(ENTRY)

    assert hub.fetched == {HUB_ID: sorted(needed)}
    assert found.pipeline is not None
    assert found.pipeline.is_relative_to(tmp_path / "models" / "hub")


def test_parts_that_could_be_fetched_are_told_of(tmp_path: Path) -> None:
    entry = CatalogueEntry(MODEL, "sdxl", HUB_ID, tiny_autoencoder=TINY, upscaler="owner/up")
    write(tmp_path / "models" / "m", pipeline_files())

    def lacks_parts(**keys: Any) -> bool:
        found = store(tmp_path, **keys).find(entry)
        assert found is not None
        return found.lacks_parts

    assert lacks_parts()
    assert not lacks_parts(download=False)

    write(tmp_path / "models" / "tiny", model_files())
    assert not lacks_parts()


def test_an_incomplete_download_is_fetched_again(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()
    write_repo(tmp_path / "hf/hub", HUB_ID, {"model_index.json": pipeline_files()["model_index.json"]})

    found = store(tmp_path, hub=hub).provide(ENTRY)

    assert list(hub.fetched) == [HUB_ID]
    assert found.pipeline is not None


def test_parts_are_fetched_too_but_an_upscaler_is_not(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos = {
        HUB_ID: pipeline_files(),
        TINY: {**model_files(), "taesdxl_encoder.safetensors": tensors()},
        "owner/lora": {"style.safetensors": tensors(), "README.md": b""},
        "owner/up": pipeline_files("sd"),
    }
    entry = CatalogueEntry(
        MODEL, "sdxl", HUB_ID, lora="owner/lora", tiny_autoencoder=TINY, upscaler="owner/up"
    )

    found = store(tmp_path, hub=hub).provide(entry)

    assert sorted(hub.fetched) == ["owner/lora", HUB_ID, TINY]
    assert hub.fetched[TINY] == sorted(model_files())
    assert found.upscaler is None


@pytest.mark.parametrize(
    ("environ", "given", "folder"),
    [
        ({}, False, "hf/hub"),
        ({}, True, "models/hub"),
        ({"HF_HUB_CACHE": "{}/other"}, False, "other"),
        ({"HF_HOME": ""}, False, "models/hub"),
    ],
)
def test_downloads_go_where_the_user_keeps_them(
    tmp_path: Path, environ: dict[str, str], given: bool, folder: str
) -> None:
    environ = {name: value.format(tmp_path) for name, value in environ.items()}

    made = store(tmp_path, environ=environ, is_model_dir_given=given)

    assert made.download_dir == tmp_path / folder


def test_a_download_that_fails_is_told(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.error = "ConnectError: no route"

    with pytest.raises(ModelLoadError, match=r"owner/pipe could not be fetched \(ConnectError: no route\)"):
        store(tmp_path, hub=hub).provide(ENTRY)


def test_pickled_weights_are_not_fetched(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = {"model_index.json": b"{}", "unet/diffusion_pytorch_model.bin": b"pickle"}

    with pytest.raises(ModelLoadError, match="has no weights in safetensors"):
        store(tmp_path, hub=hub).provide(ENTRY)

    assert hub.fetched == {}


def test_a_model_larger_than_the_downloads_may_be_is_not_fetched(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()

    with pytest.raises(ModelLoadError, match="--max-disk-cache"):
        store(tmp_path, hub=hub, max_disk_bytes=100).provide(ENTRY)

    assert hub.fetched == {}


def full_cache(tmp_path: Path, *names: str) -> tuple[FakeHub, int]:
    """Write downloads of ours, each as large as the pipeline of a hub; return the hub, and that size."""
    pytest.importorskip("huggingface_hub")
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()
    size_bytes = sum(map(len, pipeline_files().values()))
    cache, record = tmp_path / "models" / "hub", Record(tmp_path / "models" / "downloaded.txt")
    for index, name in enumerate(names):
        record.claim(repo_folder(cache, name), ["x.safetensors"])
        write_repo(cache, name, {"x.safetensors": bytes(size_bytes)}, commit=str(index) * 40, used_at=index)
    return hub, size_bytes


def repos_in(cache: Path) -> list[str]:
    return sorted(path.name.rpartition("--")[2] for path in cache.glob("models--*"))


def test_a_download_that_would_not_fit_beside_what_is_in_use_is_refused(tmp_path: Path) -> None:
    hub, size_bytes = full_cache(tmp_path, "owner/used", "owner/old")
    used = CatalogueEntry(MODEL, "sdxl", "owner/used")

    with pytest.raises(ModelLoadError, match=r"GB are in use \(--max-disk-cache\)"):
        store(tmp_path, hub=hub, max_disk_bytes=2 * size_bytes - 1).provide(ENTRY, lambda: [used])

    assert hub.fetched == {}
    assert repos_in(tmp_path / "models" / "hub") == ["old", "used"]


def test_a_model_folder_that_is_another_programs_cache_is_never_cleaned(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    home = tmp_path / "hf"
    theirs = write_repo(home / "hub", "somebody/else", {"x.safetensors": bytes(1000)}, used_at=1.0)
    made = WeightStore(home, environ={"HF_HOME": str(home)}, max_disk_bytes=10, is_model_dir_given=True)

    made.tidy(list)

    assert made.download_dir == home / "hub"
    assert theirs.exists()


def test_a_repository_that_the_user_had_before_stays_theirs(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()
    cache = tmp_path / "hf" / "hub"
    single = write_repo(cache, HUB_ID, {"checkpoint.safetensors": bytes(1000)}, commit="a" * 40)
    made = store(tmp_path, hub=hub, is_model_dir_given=False, max_disk_bytes=100_000)

    assert made.provide(ENTRY).pipeline is not None
    store(tmp_path, hub=hub, is_model_dir_given=False, max_disk_bytes=1).tidy(list)

    assert (single / "checkpoint.safetensors").exists()
    assert made.find(ENTRY) is not None


def test_a_download_that_never_began_leaves_no_claim(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()
    hub.fetch_error = "ConnectError: no route"

    with pytest.raises(ModelLoadError):
        store(tmp_path, hub=hub).provide(ENTRY)

    assert (tmp_path / "models" / "downloaded.txt").read_text() == ""


def test_nothing_is_deleted_once_the_service_stops(tmp_path: Path) -> None:
    hub, _ = full_cache(tmp_path, "owner/old")
    made = store(tmp_path, hub=hub, max_disk_bytes=1)

    made.tidy(lambda: made.stop() or [])  # type: ignore[func-returns-value]  # It stops while it is asked.

    assert repos_in(tmp_path / "models" / "hub") == ["old"]
    made = store(tmp_path, hub=hub, max_disk_bytes=1)
    made.tidy(list)
    assert repos_in(tmp_path / "models" / "hub") == []


def test_a_part_that_could_not_be_fetched_is_left_out_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = CatalogueEntry(MODEL, "sdxl", HUB_ID, tiny_autoencoder=TINY, autoencoder="owner/vae")
    write(tmp_path / "models" / "m", pipeline_files())
    hub = FakeHub()
    hub.repos["owner/vae"] = model_files()
    made = store(tmp_path, hub=hub)

    assert made.provide(entry).autoencoder is not None
    found = made.find(entry)
    assert found is not None
    assert not found.lacks_parts
    made.provide(entry)
    assert hub.asked == [TINY, "owner/vae"]

    monkeypatch.setattr(downloads, "PART_FAILURE_MEMORY_S", 0.0)
    hub.repos[TINY] = model_files()
    assert made.provide(entry).tiny_autoencoder is not None


def test_a_hub_that_gave_no_answer_is_asked_for_no_other_part(tmp_path: Path) -> None:
    entry = CatalogueEntry(MODEL, "sdxl", HUB_ID, tiny_autoencoder=TINY, autoencoder="owner/vae")
    other = CatalogueEntry(MODEL, "sdxl", "owner/other")
    write(tmp_path / "models" / "m", pipeline_files())
    hub = FakeHub()
    hub.error = "ReadTimeout: timed out"
    made = store(tmp_path, hub=hub)

    assert made.provide(entry).pipeline is not None
    assert hub.asked == [TINY]
    found = made.find(entry)
    assert found is not None
    assert not found.lacks_parts

    # What a model cannot do without is tried all the same; an answer ends it.
    hub.error = ""
    hub.repos = {"owner/other": pipeline_files(), "owner/vae": model_files()}
    shutil.rmtree(tmp_path / "models" / "m")
    made.provide(other)
    write(tmp_path / "models" / "m", pipeline_files())
    assert made.provide(entry).autoencoder is not None


def test_a_model_whose_weights_could_not_be_fetched_is_tried_again(tmp_path: Path) -> None:
    hub = FakeHub()
    made = store(tmp_path, hub=hub)
    with pytest.raises(ModelLoadError):
        made.provide(ENTRY)

    hub.repos[HUB_ID] = pipeline_files()

    assert made.provide(ENTRY).pipeline is not None


def test_what_lies_there_can_be_had_without_a_download(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.repos = {TINY: model_files(), HUB_ID: pipeline_files()}
    entry = CatalogueEntry(MODEL, "sdxl", HUB_ID, tiny_autoencoder=TINY)
    made = store(tmp_path, hub=hub)
    with pytest.raises(ModelLoadError, match="it was looked for in"):
        made.provide(entry, fetch=False)

    write(tmp_path / "models" / "m", pipeline_files())

    assert made.provide(entry, fetch=False).tiny_autoencoder is None
    assert hub.asked == []


def test_every_place_of_the_hub_that_a_model_names_is_spared(tmp_path: Path) -> None:
    entry = CatalogueEntry(
        MODEL,
        "sdxl",
        HUB_ID,
        lora=str(tmp_path),
        tiny_autoencoder=TINY,
        autoencoder="owner/vae",
        upscaler="owner/up",
    )

    assert hub_ids([entry, ENTRY]) == {HUB_ID, TINY, "owner/vae", "owner/up"}


def test_a_full_disk_is_told_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**9 + 1))

    with pytest.raises(ModelLoadError, match=r"has 1\.0 GB free"):
        store(tmp_path, hub=hub).provide(ENTRY)

    assert hub.fetched == {}


def test_an_older_download_makes_way_for_a_new_one_but_what_is_in_use_stays(tmp_path: Path) -> None:
    hub, size_bytes = full_cache(tmp_path, "owner/used", "owner/old", "owner/new")
    used = CatalogueEntry(MODEL, "sdxl", "owner/used")

    store(tmp_path, hub=hub, max_disk_bytes=3 * size_bytes).provide(ENTRY, lambda: [used])

    assert repos_in(tmp_path / "models" / "hub") == ["new", "pipe", "used"]


def test_a_used_download_is_young_again(tmp_path: Path) -> None:
    snapshot = write_repo(tmp_path / "models" / "hub", HUB_ID, pipeline_files(), used_at=1.0)

    store(tmp_path).provide(ENTRY)

    file = snapshot / "unet" / "diffusion_pytorch_model.safetensors"
    assert file.stat().st_atime > 1.0
    assert file.stat().st_mtime == 1.0


def test_progress_is_logged_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    hub = FakeHub()
    hub.repos[HUB_ID] = pipeline_files()
    monkeypatch.setattr(downloads, "PROGRESS_INTERVAL_S", 0.0)

    store(tmp_path, hub=hub).provide(ENTRY)

    assert "downloading" in capsys.readouterr().out


def test_stopping_gives_up_downloads(tmp_path: Path) -> None:
    hub = FakeHub()
    made = store(tmp_path, hub=hub)

    made.stop()

    assert hub.stopped


def broken_pipelines() -> dict[str, tuple[dict[str, bytes | None], str]]:
    """Return what is changed in a whole pipeline (None: taken away), and what is said of it."""
    unet = "unet/diffusion_pytorch_model.safetensors"
    no_unet = json.loads(pipeline_files()["model_index.json"])
    del no_unet["unet"]
    return {
        "no index": ({"model_index.json": None}, "model_index.json is missing"),
        "bad index": ({"model_index.json": b"<html>"}, "model_index.json is not JSON"),
        "a deep index": ({"model_index.json": b"[" * 100_000}, "model_index.json is not JSON"),
        "a list": ({"model_index.json": b"[]"}, "holds no JSON object"),
        "not listed": ({"model_index.json": json.dumps(no_unet).encode()}, "lists no unet"),
        "no config": ({"unet/config.json": None}, "unet/config.json is missing"),
        "no weights": ({unet: None}, r"unet has no weights"),
        "a pickle": (
            {unet: None, "unet/diffusion_pytorch_model.bin": b"x"},
            r"unet has only pickled weights \(\.bin\): safetensors are needed",
        ),
        "cut short": ({unet: tensors()[:-1]}, f"should be {NETWORK_BYTES}: it is not whole"),
        "too long": ({unet: tensors() + b"x"}, "it is not whole"),
        "empty": ({unet: b""}, "no safetensors file"),
        "header cut": ({unet: tensors()[:20]}, "cut short in its header"),
        "no header": ({unet: b"\x08" + bytes(7) + b"notjson!"}, "not one of safetensors"),
        "git pointer": ({unet: b"version https://git-lfs.github.com/spec/v1\noid x"}, "no safetensors file"),
        "no tokenizer": ({"tokenizer_2/merges.txt": None}, "tokenizer_2 has neither"),
        "no scheduler": ({"scheduler/scheduler_config.json": None}, "scheduler"),
    }


@pytest.mark.parametrize("name", broken_pipelines())
def test_a_pipeline_that_is_not_whole_is_told_by_the_file(tmp_path: Path, name: str) -> None:
    changes, message = broken_pipelines()[name]
    files = {**pipeline_files(), **changes}
    write(tmp_path, {path: data for path, data in files.items() if data is not None})

    with pytest.raises(NotWholeError, match=message):
        check_pipeline(tmp_path, "sdxl")


def test_a_pipeline_of_another_family_is_told(tmp_path: Path) -> None:
    write(tmp_path, pipeline_files("sd"))

    assert check_pipeline(tmp_path, "sd") == 3 * NETWORK_BYTES
    with pytest.raises(NotWholeError, match="no text_encoder_2, which family sdxl needs"):
        check_pipeline(tmp_path, "sdxl")


def test_a_part_cannot_lie_outside_of_its_pipeline(tmp_path: Path) -> None:
    index = {"../elsewhere": ["diffusers", "UNet2DConditionModel"]}
    write(tmp_path / "pipe", {"model_index.json": json.dumps(index).encode()})
    write(tmp_path / "elsewhere", model_files())

    with pytest.raises(NotWholeError, match="is no name of a part"):
        check_pipeline(tmp_path / "pipe", None)


def shards(listed: str = "diffusion_pytorch_model-00002-of-00002.safetensors") -> dict[str, bytes]:
    """Return a network in two files."""
    names = [f"diffusion_pytorch_model-0000{index}-of-00002.safetensors" for index in (1, 2)]
    index = {"weight_map": {"a": names[0], "b": listed}}
    return {
        "config.json": b"{}",
        "diffusion_pytorch_model.safetensors.index.json": json.dumps(index).encode(),
        **{name: tensors() for name in names},
    }


def test_weights_in_several_files_are_all_needed(tmp_path: Path) -> None:
    write(tmp_path, shards())
    assert check_model(tmp_path) == 2 * NETWORK_BYTES

    (tmp_path / "diffusion_pytorch_model-00001-of-00002.safetensors").unlink()

    with pytest.raises(NotWholeError, match="has 1 of 2 files of weights"):
        check_model(tmp_path)


@pytest.mark.parametrize("listed", ["../../secret.safetensors", "/etc/passwd", "other.safetensors"])
def test_an_index_cannot_name_other_files(tmp_path: Path, listed: str) -> None:
    write(tmp_path, shards(listed))

    with pytest.raises(NotWholeError, match="lists weights that are not there"):
        check_model(tmp_path)


def test_half_precision_is_preferred_and_checked(tmp_path: Path) -> None:
    files = {**model_files(), **model_files("fp16")}
    write(tmp_path, {**files, "diffusion_pytorch_model.fp16.safetensors": tensors(TENSOR_BYTES // 2)})

    assert check_model(tmp_path) == len(tensors(TENSOR_BYTES // 2))
    assert choose_files(files, ()) == ["config.json", "diffusion_pytorch_model.fp16.safetensors"]


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, model_files())
    check_model(tmp_path)

    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(tensors()[:-3])

    with pytest.raises(NotWholeError):
        check_model(tmp_path)


def test_a_lora_is_one_file(tmp_path: Path) -> None:
    write(tmp_path, {"a.safetensors": tensors()})
    assert find_lora(tmp_path) == (tmp_path / "a.safetensors", NETWORK_BYTES)
    assert find_lora(tmp_path / "a.safetensors")[0] == tmp_path / "a.safetensors"

    write(tmp_path, {"b.safetensors": tensors(), "c.bin": b""})
    with pytest.raises(NotWholeError, match=r"found: a\.safetensors, b\.safetensors"):
        find_lora(tmp_path)
    with pytest.raises(NotWholeError, match="not a safetensors file"):
        find_lora(tmp_path / "c.bin")

    write(tmp_path, {"pytorch_lora_weights.safetensors": tensors()})
    assert find_lora(tmp_path)[0].name == "pytorch_lora_weights.safetensors"


@pytest.mark.parametrize(
    ("place", "is_one"),
    [
        ("stabilityai/sdxl-turbo", True),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", True),
        ("a/b.c_d-1", True),
        ("sdxl-turbo", False),
        ("/a/b", False),
        ("a/b/c", False),
        ("../b", False),
        ("a/..", False),
        ("a/b..c", False),
        ("a\\b/c", False),
        ("", False),
    ],
)
def test_a_hub_id_is_two_plain_names(place: str, is_one: bool) -> None:
    assert is_hub_id(place) is is_one


def test_the_hubs_cache_is_where_its_own_library_has_it(tmp_path: Path) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")

    assert shared_cache({"HOME": str(Path.home())}).name == "hub"
    assert shared_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/huggingface/hub")
    assert shared_cache({"HF_HOME": "/h"}) == Path("/h/hub")
    assert shared_cache({"HF_HOME": "/h", "HF_HUB_CACHE": "/c"}) == Path("/c")
    assert shared_cache({}).name == Path(constants.HF_HUB_CACHE).name
    assert is_offline({"TRANSFORMERS_OFFLINE": "yes"})
    assert not is_offline({"HF_HUB_OFFLINE": "0"})
