"""The same promise over real sockets: links that stall, screens that hide, and all end on the newest."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from screens import Screen, Site, running_site, wait_for
from yarl import URL

from bench.relay import Relay, relay
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


LINKS = 4
SCREENS_PER_LINK = 5
FRAMES = 60
FPS = 30.0


def noise(count: int) -> list[EncodedImage]:
    """Make pictures that every encoder makes about 40 kB of."""
    generator = np.random.default_rng(4)
    return [
        encoders.encode(generator.integers(0, 255, (160, 240, 3), np.uint8), "jpeg", 85) for _ in range(count)
    ]


@dataclass
class Watcher:
    """A screen that acknowledges what it gets, and remembers the newest."""

    screen: Screen
    shown: int = 0

    async def watch(self) -> None:
        while True:
            message = await self.screen.receive()
            if message["type"] == "frame":
                assert message["sequence"] >= self.shown, "an older frame came after a newer one"
                self.shown = message["sequence"]
                await self.screen.ack(message)


@contextlib.asynccontextmanager
async def watching(site: Site, link: Relay) -> AsyncIterator[list[Watcher]]:
    """Connect the screens of one link."""
    through = Site(URL(f"http://127.0.0.1:{link.port}/"), site.session, site.parts, site.runner, site.logs)
    async with contextlib.AsyncExitStack() as stack:
        yield [
            Watcher(await stack.enter_async_context(through.screen("left"))) for _ in range(SCREENS_PER_LINK)
        ]


async def test_twenty_screens_on_links_that_stall_all_end_on_the_newest_frame(still_site: Site) -> None:
    site, chance = still_site, random.Random(4)
    pictures = noise(10)
    async with contextlib.AsyncExitStack() as stack:
        to = (site.url.host or "", site.url.port or 0)
        links = [
            await stack.enter_async_context(relay(to=to, rate_bytes_s=rate, rtt_s=rtt))
            for rate, rtt in ((20e6, 0.0), (5e6, 0.02), (1e6, 0.0), (0.5e6, 0.05))
        ]
        watchers = [
            watcher for link in links for watcher in await stack.enter_async_context(watching(site, link))
        ]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = [tasks.create_task(watcher.watch()) for watcher in watchers]
        canvas = site.canvas("left")

        for number in range(FRAMES):
            canvas.publish(pictures[number % len(pictures)], timestamp_ms=0.0)
            if chance.random() < 0.2:
                link = chance.choice(links)
                chance.choice([link.stall, link.resume])()
            if chance.random() < 0.3:
                await chance.choice(watchers).screen.send("ready", visible=chance.random() < 0.5)
            await asyncio.sleep(1.0 / FPS)
        for link in links:
            link.resume()
        for watcher in watchers:
            await watcher.screen.send("ready", visible=True)

        await wait_for(lambda: all(watcher.shown == FRAMES for watcher in watchers))
        for task in running:
            task.cancel()
    assert sum(canvas.drops().values()) > 0, "nothing was ever in the way"


async def test_a_server_that_stops_in_the_midst_of_it_writes_and_encodes_nothing_more(tmp_path: Path) -> None:
    pictures = noise(10)
    async with running_site(tmp_path, default_prompt="") as site, contextlib.AsyncExitStack() as stack:
        watchers = [Watcher(await stack.enter_async_context(site.screen("left"))) for _ in range(6)]
        canvas = site.canvas("left")
        for watcher in watchers[::2]:
            # Small ones need every frame encoded for them.
            await watcher.screen.send("ready", viewport={"width": 60, "height": 40})
            await watcher.screen.sync()
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(watcher.screen.end()) for watcher in watchers]
            for picture in pictures:
                canvas.publish(picture, timestamp_ms=0.0)
                await asyncio.sleep(0)

            await site.runner.cleanup()

        assert [task.result()[0] for task in watching] == [1001] * 6
        assert (len(canvas.subscribers), len(canvas.rounds), canvas.held.held_bytes) == (0, 0, 0)
        encoded = canvas.renditions.encoded
        canvas.publish(replace(pictures[0], width=1), timestamp_ms=0.0)
        # Whatever was due at once would have its turn here.
        await asyncio.sleep(0)
        assert (len(canvas.rounds), canvas.renditions.encoded) == (0, encoded)
        assert canvas.demand_fps == 0.0
