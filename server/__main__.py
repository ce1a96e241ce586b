"""`python -m server`: read the settings, say where the pages are, serve until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys

import structlog
from aiohttp import web

from server import logs
from server.app import make_app
from server.errors import ConfigurationError
from server.interpreter import settle
from server.settings import Settings, load


log = structlog.get_logger(__name__)

# How long handlers may take to end after the screens were told, seconds.
GRACE_S = 5.0
# Nobody can call these: they mean every address that there is. By what to call them here.
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def main() -> int:
    """Run the server and return its exit status."""
    try:
        settings = load()
        logs.configure(level=settings.log_level, style=settings.log_format)
        listener = _listen(settings)
    except ConfigurationError as exc:
        print(f"psyche: {exc}", file=sys.stderr)
        return 2
    with listener, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(settings, listener))
    return 0


def _listen(settings: Settings) -> socket.socket:
    """Open the listening socket.

    Raises:
        ConfigurationError: If the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as exc:
        hint = ""
        if exc.errno == errno.EADDRINUSE:
            hint = "; is another server running? Another port: PSYCHE_PORT=8001"
        raise ConfigurationError(
            f"PSYCHE_HOST={settings.host} PSYCHE_PORT={settings.port} cannot be listened on: "
            f"{exc.strerror}{hint}"
        ) from exc


async def _serve(settings: Settings, listener: socket.socket) -> None:
    runner = web.AppRunner(
        make_app(settings), access_log=None, shutdown_timeout=GRACE_S, handler_cancellation=False
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        settle()
        port = listener.getsockname()[1]
        address = f"http://{_callable_host(settings.host)}:{port}"
        log.info("server started", address=address, canvases=list(settings.canvases))
        print(f"\n  Psyche is painting at {address}", flush=True)
        if settings.host in ANY_HOST:
            print("  and at every other address of this machine", flush=True)
        print(flush=True)
        await stop.wait()
        log.info("server stops")
    finally:
        await runner.cleanup()


def _callable_host(host: str) -> str:
    """Return the host as it stands in an address that can be opened here."""
    host = ANY_HOST.get(host, host)
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
