/**
 * The page of `/` and `/c/{slug}`: puts the parts together and gives them the browser's events.
 *
 * `<html>` says in `data-bitmaps-created` and `data-bitmaps-closed` how many decoded images the page
 * has made and freed: what tests watch for leaks.
 */

import { Decoder } from '../paint/decoder.js';
import { browser } from '../stream/environment.js';
import { Roster } from '../stream/roster.js';
import { screenOptions, selectedSlugs, socketUrl } from './selection.js';
import { Tile } from './tile.js';
import { watchSight } from './visibility.js';
import { Wall } from './wall.js';

const root = /** @type {HTMLElement} */ (document.getElementById('wall'));

/** @param {string} url */
async function fetchJson(url) {
    const response = await fetch(url, { headers: { accept: 'application/json' } });
    return response.json();
}

/** Call back at once and whenever the page's size or its density changes. */
function watchSize(/** @type {() => void} */ onSize) {
    const watchDensity = () => {
        const density = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
        const changed = () => {
            watchDensity();
            onSize();
        };
        density.addEventListener('change', changed, { once: true });
    };
    watchDensity();
    new ResizeObserver(onSize).observe(root);
    onSize();
}

async function main() {
    const decoder = new Decoder(browser, ({ created, closed }) => {
        document.documentElement.dataset.bitmapsCreated = String(created);
        document.documentElement.dataset.bitmapsClosed = String(closed);
    });
    const selection = selectedSlugs(location);
    if (selection?.length === 1) {
        document.title = `${selection[0]} · Psyche`;
    }
    const { isAlwaysVisible, maxFps } = screenOptions(location);
    const isVisible = () => isAlwaysVisible || !document.hidden;
    const services = {
        environment: browser,
        decoder,
        formats: await decoder.formats(),
        streamUrl: (/** @type {string} */ slug) => socketUrl(`/ws/${slug}`, location.href),
        maxFps,
        watchSight: isAlwaysVisible ? () => () => {} : watchSight,
        onShape: () => wall.arrange(),
    };
    const wall = new Wall(
        selection,
        (slug, shape) => new Tile(slug, shape, root, { ...services, isVisible: isVisible() }),
        (count) => root.classList.toggle('is-empty', count === 0),
    );
    watchSize(() => {
        const ratio = devicePixelRatio;
        wall.resize(
            { width: Math.round(root.clientWidth * ratio), height: Math.round(root.clientHeight * ratio) },
            ratio,
        );
    });
    document.addEventListener('visibilitychange', () => wall.setVisible(isVisible()));
    const roster = new Roster(
        { list: '/canvases', events: socketUrl('/ws', location.href) },
        (canvases) => wall.update(canvases),
        browser,
        fetchJson,
    );
    await roster.open();
}

await main();
