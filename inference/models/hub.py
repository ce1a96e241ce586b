"""Hugging Face's hub: what a repository holds, and fetching it into a cache.

The only module that uses the network, by the hub's own library, which is imported when it is needed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm


# For the list of a repository's files, seconds: as long as the library allows for a file's own headers. The
# service cannot end before.
LIST_TIMEOUT_S = 10.0

# Files fetched at once. More do not make a line faster, and each holds a piece of memory.
WORKERS = 4


class FetchError(Exception):
    """The hub could not be reached, refused, or was given up on.

    Attributes:
        is_unreachable: Whether it gave no answer at all, so that no other question gets one either.
    """

    def __init__(self, message: str, *, is_unreachable: bool = False) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable


class Hub(Protocol):
    """Where repositories are fetched from."""

    def sizes(self, hub_id: str) -> Mapping[str, int]:
        """Return every file of a repository's main branch with its size, bytes.

        Raises:
            FetchError: If it cannot be told.
        """

    def fetch(
        self, hub_id: str, files: Collection[str], cache: Path, on_bytes: Callable[[int], None]
    ) -> None:
        """Fetch files of a repository's main branch into a cache; what it has already is kept.

        Args:
            hub_id: The repository.
            files: Their paths in it.
            cache: The cache's folder, in the hub library's own layout.
            on_bytes: Called with the bytes fetched so far, from any thread.

        Raises:
            FetchError: If one of them could not be fetched, or `stop` was called.
        """

    def stop(self) -> None:
        """Give up what is being fetched, soon and for good. Safe from any thread."""


class HuggingFaceHub:
    """The hub by its own library.

    Args:
        endpoint: Another address of it; None: what ``HF_ENDPOINT`` says.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint
        self._stopped = threading.Event()

    def sizes(self, hub_id: str) -> Mapping[str, int]:
        """See `Hub`."""
        try:
            from huggingface_hub import HfApi
            from huggingface_hub.errors import HfHubHTTPError
        except ImportError as exc:
            raise FetchError(_tell(exc)) from exc
        try:
            info = HfApi(endpoint=self._endpoint).model_info(
                hub_id, files_metadata=True, timeout=LIST_TIMEOUT_S
            )
            return {file.rfilename: file.size or 0 for file in info.siblings or ()}
        except HfHubHTTPError as exc:
            raise FetchError(_tell(exc)) from exc
        except Exception as exc:
            raise FetchError(_tell(exc), is_unreachable=True) from exc

    def fetch(
        self, hub_id: str, files: Collection[str], cache: Path, on_bytes: Callable[[int], None]
    ) -> None:
        """See `Hub`."""
        try:
            from huggingface_hub import snapshot_download

            snapshot_download(
                hub_id,
                cache_dir=cache,
                allow_patterns=list(files),
                max_workers=WORKERS,
                tqdm_class=_make_bar_class(self._stopped, on_bytes),
                endpoint=self._endpoint,
            )
        except Exception as exc:
            raise FetchError("it was given up" if self._stopped.is_set() else _tell(exc)) from exc

    def stop(self) -> None:
        """See `Hub`."""
        self._stopped.set()
        # Files in the hub's chunked storage are fetched by native code, which no exception ends. This is
        # what the library itself does at Ctrl-C.
        xet: Any = sys.modules.get("huggingface_hub.utils._xet")
        if xet is not None and hasattr(xet, "abort_xet_session"):
            xet.abort_xet_session()


def _make_bar_class(stopped: threading.Event, on_bytes: Callable[[int], None]) -> type[tqdm[Any]]:
    """Make a progress bar that shows nothing, counts bytes, and ends the download when it is to stop."""
    # Several bars count the same bytes: as they come in, and as they are written.
    counted: dict[int, int] = {}

    class Bar(tqdm):  # type: ignore[type-arg]  # It is generic in its stubs only.
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts_bytes = kwargs.get("unit") == "B"
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            if stopped.is_set():
                raise InterruptedError("the download was given up")
            if self._counts_bytes:
                counted[id(self)] = counted.get(id(self), 0) + int(n or 0)
                on_bytes(max(counted.values()))
            return None

    return Bar


def _tell(error: Exception) -> str:
    """Say what went wrong in one line; the library's own texts are paragraphs."""
    first_line = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first_line[:300]}" if first_line else type(error).__name__
