"""Downloads under their limit, in caches written in the hub library's own layout."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from weight_folders import write, write_repo

from inference.models.disk import ABANDONED_AFTER_S, DiskCache
from inference.models.places import repo_folder
from inference.models.record import Record


pytest.importorskip("huggingface_hub")

KB = 1000
FILE = "w.safetensors"


def disk(folder: Path, max_bytes: int | None) -> DiskCache:
    """Return a cache in a folder, with the record beside it."""
    return DiskCache(folder / "hub", max_bytes, Record(folder / "downloaded.txt"))


def nothing() -> list[str]:
    """Tell that nothing is in use."""
    return []


def three_repos(folder: Path, ours: str = "abc") -> Path:
    """Write three repositories of 10 kB, used one after the other: a, b, c; return the cache."""
    cache = folder / "hub"
    for index, name in enumerate("abc"):
        if name in ours:
            disk(folder, None).claim(f"owner/{name}", [FILE])
        write_repo(cache, f"owner/{name}", {FILE: bytes(10 * KB)}, commit=name * 40, used_at=100.0 + index)
    return cache


def left(cache: Path) -> list[str]:
    return sorted(path.name.rpartition("--")[2] for path in cache.glob("models--*"))


def test_a_cache_under_its_limit_is_left_alone(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)

    assert disk(tmp_path, 30 * KB).hold(nothing) == 0

    assert left(cache) == ["a", "b", "c"]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)

    assert disk(tmp_path, 15 * KB).hold(nothing) == 20 * KB

    assert left(cache) == ["c"]


def test_room_is_made_for_what_is_to_come(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)

    assert disk(tmp_path, 35 * KB).make_room("owner/d", 10 * KB, nothing) == 20 * KB

    assert left(cache) == ["b", "c"]


def test_nothing_is_deleted_for_what_would_not_fit_anyway(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)

    assert disk(tmp_path, 30 * KB).make_room("owner/d", 25 * KB, lambda: ["owner/a"]) == 10 * KB

    assert left(cache) == ["a", "b", "c"]


def test_what_is_in_use_is_never_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = three_repos(tmp_path)
    held = disk(tmp_path, 5 * KB)

    held.hold(lambda: ["owner/a"])

    assert left(cache) == ["a"]
    assert "disk_cache_over_limit" in capsys.readouterr().out
    # Told once, not at every look.
    held.hold(lambda: ["owner/a"])
    assert capsys.readouterr().out == ""


def test_nothing_is_deleted_where_what_is_in_use_cannot_be_told(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)

    assert disk(tmp_path, 0).hold(lambda: None) == 0
    disk(tmp_path, 0).make_room("owner/d", KB, lambda: None)

    assert left(cache) == ["a", "b", "c"]


def test_an_older_state_of_a_repository_goes_before_it_does(tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    disk(tmp_path, None).claim("owner/a", ["shared.safetensors", "old.safetensors", "new.safetensors"])
    shared = {"shared.safetensors": bytes(5 * KB)}
    old_files = {**shared, "old.safetensors": bytes(10 * KB)}
    old = write_repo(cache, "owner/a", old_files, commit="a" * 40, used_at=50.0, is_main=False)
    new_files = {**shared, "new.safetensors": bytes(10 * KB)}
    new = write_repo(cache, "owner/a", new_files, commit="b" * 40, used_at=90.0)

    assert disk(tmp_path, 15 * KB).hold(nothing) == 10 * KB

    assert not old.exists()
    assert (new / "shared.safetensors").stat().st_size == 5 * KB


def test_without_a_limit_nothing_is_deleted(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)

    assert disk(tmp_path, None).hold(nothing) == 0
    assert disk(tmp_path / "absent", 0).hold(nothing) == 0
    assert disk(tmp_path, None).make_room("owner/d", 10**15, nothing) == 0

    assert left(cache) == ["a", "b", "c"]


def test_only_what_was_fetched_by_us_counts(tmp_path: Path) -> None:
    cache = three_repos(tmp_path, ours="b")

    assert disk(tmp_path, 10 * KB).hold(nothing) == 0
    assert disk(tmp_path, 5 * KB).hold(nothing) == 10 * KB

    assert left(cache) == ["a", "c"]


def test_a_repository_that_was_there_before_us_is_never_ours(tmp_path: Path) -> None:
    cache = three_repos(tmp_path, ours="")
    disk(tmp_path, None).claim("owner/a", [FILE])

    assert disk(tmp_path, 0).hold(nothing) == 0

    assert left(cache) == ["a", "b", "c"]


def test_the_same_repository_in_another_cache_is_not_ours(tmp_path: Path) -> None:
    three_repos(tmp_path)
    others = write_repo(tmp_path / "shared", "owner/a", {FILE: bytes(10 * KB)})

    assert DiskCache(tmp_path / "shared", 0, Record(tmp_path / "downloaded.txt")).hold(nothing) == 0

    assert others.exists()


def test_a_repository_that_somebody_has_fetched_again_is_theirs(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)
    held = disk(tmp_path, 20 * KB)
    held.hold(nothing)
    assert left(cache) == ["b", "c"]

    write_repo(cache, "owner/a", {FILE: bytes(10 * KB)}, commit="a" * 40)

    assert disk(tmp_path, 0).hold(nothing) == 20 * KB
    assert left(cache) == ["a"]


def test_a_state_that_somebody_has_added_files_to_is_theirs(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)
    single = write_repo(cache, "owner/a", {"checkpoint.safetensors": bytes(50 * KB)}, commit="a" * 40)
    other = write_repo(cache, "owner/b", {"checkpoint.safetensors": bytes(50 * KB)}, commit="f" * 40)

    assert disk(tmp_path, 5 * KB).hold(nothing) == 20 * KB

    # The one was fetched into our state, the other beside it.
    assert sorted(path.name for path in single.iterdir()) == ["checkpoint.safetensors", FILE]
    assert (other / "checkpoint.safetensors").stat().st_size == 50 * KB
    assert not (other.parent / ("b" * 40)).exists()
    assert left(cache) == ["a", "b"]


def test_a_copy_of_a_repository_is_not_deleted_in_its_place(tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    disk(tmp_path, None).claim("mirror/m", [FILE])
    for hub_id in ("original/m", "mirror/m", "zzz/m"):
        write_repo(cache, hub_id, {FILE: bytes(10 * KB)}, commit="a" * 40)

    assert disk(tmp_path, 0).hold(nothing) == 10 * KB

    assert sorted(path.name for path in cache.glob("models--*")) == ["models--original--m", "models--zzz--m"]


def test_an_abandoned_download_goes_first_and_a_young_one_stays(tmp_path: Path) -> None:
    cache = three_repos(tmp_path)
    blobs = cache / "models--owner--a" / "blobs"
    write(blobs, {"old.incomplete": bytes(10 * KB), "young.incomplete": bytes(10 * KB)})
    long_ago = time.time() - ABANDONED_AFTER_S - 1.0
    os.utime(blobs / "old.incomplete", (long_ago, long_ago))

    assert disk(tmp_path, 40 * KB).hold(nothing) == 10 * KB

    assert (blobs / "young.incomplete").exists()
    assert not (blobs / "old.incomplete").exists()
    assert left(cache) == ["a", "b", "c"]


def test_a_download_that_goes_on_does_not_stand_in_its_own_way(tmp_path: Path) -> None:
    held = disk(tmp_path, 10 * KB)
    held.claim("owner/a", [FILE])
    blobs = repo_folder(held.folder, "owner/a") / "blobs"
    write(blobs, {"w.incomplete": bytes(9 * KB)})

    assert held.make_room("owner/a", 10 * KB, nothing) == 0
    assert held.make_room("owner/b", 10 * KB, nothing) == 9 * KB

    assert (blobs / "w.incomplete").exists()


def test_what_others_have_left_of_a_download_is_not_ours(tmp_path: Path) -> None:
    cache = three_repos(tmp_path, ours="a")
    blobs = cache / "models--owner--b" / "blobs"
    write(blobs, {"old.incomplete": bytes(10 * KB)})
    os.utime(blobs / "old.incomplete", (1.0, 1.0))

    assert disk(tmp_path, 0).hold(nothing) == 10 * KB

    assert (blobs / "old.incomplete").exists()
    assert left(cache) == ["b", "c"]


def test_a_cache_that_cannot_be_read_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    def fail(folder: Path) -> None:
        raise OSError("the disk is gone")

    three_repos(tmp_path)
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", fail)

    assert disk(tmp_path, 0).hold(nothing) == 0
    assert disk(tmp_path, 0).make_room("owner/d", KB, nothing) == 0

    assert capsys.readouterr().out.count("[error    ] disk_cache_not_cleaned") == 2


def test_the_record_can_be_moved_with_its_folder(tmp_path: Path) -> None:
    three_repos(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")

    assert disk(tmp_path / "there", 0).hold(nothing) == 30 * KB


def test_a_name_from_elsewhere_cannot_forge_a_line_of_the_record(tmp_path: Path) -> None:
    record = Record(tmp_path / "downloaded.txt")
    repo, others = tmp_path / "models--a--b", tmp_path / "models--c--d"

    assert record.claim(repo, ["w.json", "x\nmodels--c--d\ty", "x\u2028models--c--d\ty"])

    assert record.files(repo) == {"w.json"}
    assert record.files(others) == set()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"models--owner--a\n", b""])
def test_a_record_that_says_nothing_makes_nothing_ours(tmp_path: Path, content: bytes) -> None:
    cache = three_repos(tmp_path)
    (tmp_path / "downloaded.txt").write_bytes(content)

    assert disk(tmp_path, 0).hold(nothing) == 0

    assert left(cache) == ["a", "b", "c"]
