"""Downloads under their limit, in caches written in the hub library's own layout."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from weight_folders import write, write_repo

from inference.models.disk import ABANDONED_AFTER_S, DiskCache


pytest.importorskip("huggingface_hub")

KB = 1000


def three_repos(cache: Path) -> None:
    """Write three repositories of 10 kB, used one after the other: a, b, c."""
    for index, name in enumerate("abc"):
        write_repo(
            cache, f"owner/{name}", {"w.safetensors": bytes(10 * KB)}, commit=name * 40, used_at=100.0 + index
        )


def left(cache: Path) -> list[str]:
    return sorted(path.name.rpartition("--")[2] for path in cache.glob("models--*"))


def test_a_cache_under_its_limit_is_left_alone(tmp_path: Path) -> None:
    three_repos(tmp_path)

    assert DiskCache(tmp_path, 30 * KB).hold(()) == 0

    assert left(tmp_path) == ["a", "b", "c"]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    three_repos(tmp_path)

    assert DiskCache(tmp_path, 15 * KB).hold(()) == 20 * KB

    assert left(tmp_path) == ["c"]


def test_room_is_made_for_what_is_to_come(tmp_path: Path) -> None:
    three_repos(tmp_path)

    DiskCache(tmp_path, 35 * KB).hold((), extra_bytes=10 * KB)

    assert left(tmp_path) == ["b", "c"]


def test_what_is_in_use_is_never_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three_repos(tmp_path)
    cache = DiskCache(tmp_path, 5 * KB)

    cache.hold({"owner/a"})

    assert left(tmp_path) == ["a"]
    assert "disk_cache_over_limit" in capsys.readouterr().out
    # Told once, not at every look.
    cache.hold({"owner/a"})
    assert capsys.readouterr().out == ""


def test_an_older_state_of_a_repository_goes_before_it_does(tmp_path: Path) -> None:
    files = {"shared.safetensors": bytes(5 * KB)}
    write_repo(tmp_path, "owner/a", files, commit="a" * 40, used_at=50.0, is_main=False)
    old = write_repo(
        tmp_path, "owner/a", {"old.safetensors": bytes(10 * KB)}, commit="a" * 40, used_at=50.0, is_main=False
    )
    new = write_repo(
        tmp_path, "owner/a", {**files, "new.safetensors": bytes(10 * KB)}, commit="b" * 40, used_at=90.0
    )

    assert DiskCache(tmp_path, 15 * KB).hold(()) == 10 * KB

    assert not old.exists()
    assert (new / "shared.safetensors").stat().st_size == 5 * KB


def test_without_a_limit_nothing_is_deleted(tmp_path: Path) -> None:
    three_repos(tmp_path)

    assert DiskCache(tmp_path, None).hold(()) == 0
    assert DiskCache(tmp_path / "absent", 0).hold(()) == 0

    assert left(tmp_path) == ["a", "b", "c"]


def test_in_a_shared_cache_only_what_was_fetched_by_us_counts(tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    three_repos(cache)
    record = tmp_path / "models" / "downloaded.txt"
    DiskCache(cache, 0, record).remember("owner/b")
    DiskCache(cache, 0, record).remember("owner/b")
    assert record.read_text() == "owner/b\n"

    assert DiskCache(cache, 10 * KB, record).hold(()) == 0
    assert DiskCache(cache, 5 * KB, record).hold(()) == 10 * KB

    assert left(cache) == ["a", "c"]


def test_an_abandoned_download_goes_first_and_a_young_one_stays(tmp_path: Path) -> None:
    three_repos(tmp_path)
    blobs = tmp_path / "models--owner--a" / "blobs"
    write(blobs, {"old.incomplete": bytes(10 * KB), "young.incomplete": bytes(10 * KB)})
    long_ago = time.time() - ABANDONED_AFTER_S - 1.0
    os.utime(blobs / "old.incomplete", (long_ago, long_ago))

    assert DiskCache(tmp_path, 40 * KB).hold(()) == 10 * KB

    assert (blobs / "young.incomplete").exists()
    assert not (blobs / "old.incomplete").exists()
    assert left(tmp_path) == ["a", "b", "c"]


def test_a_cache_that_cannot_be_read_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    def fail(folder: Path) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", fail)

    assert DiskCache(tmp_path, 0).hold(()) == 0

    assert "disk_cache_not_cleaned" in capsys.readouterr().out
