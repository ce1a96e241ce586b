/** The page of `/` and `/c/{slug}`: puts the parts together and gives them the browser's events. */

import { applyBackground } from '../page/background.js';
import { hideIdleCursor } from '../page/cursor.js';
import { fullscreenOnDoubleClick } from '../page/fullscreen.js';
import { ignoreAccidents } from '../page/gestures.js';
import { fetchJson } from '../page/json.js';
import { chooseLanguage } from '../page/language.js';
import { Notice } from '../page/notice.js';
import { isSlug, pageOptions, slugOfPath } from '../page/options.js';
import { watchSize } from '../page/size.js';
import { socketUrl } from '../page/urls.js';
import { keepAwake } from '../page/wakelock.js';
import { Overlays } from '../overlay/overlays.js';
import { openScreens } from '../screen/screens.js';
import { openMicrophone } from '../sound/microphone.js';
import { browser } from '../stream/environment.js';
import { Roster } from '../stream/roster.js';
import { listen } from './listening.js';
import { speak } from './texts.js';
import { Tile } from './tile.js';
import { watchSight } from './visibility.js';
import { Wall } from './wall.js';

// As the style sheet has it.
const GROUND = '#050507';

const page = document.documentElement;
const root = /** @type {HTMLElement} */ (document.getElementById('wall'));
const message = /** @type {HTMLElement} */ (document.getElementById('message'));

/** What the address asks for, and in which words it is answered. */
function readAddress() {
    const options = pageOptions(location, (warning) => console.warn(warning));
    const slug = slugOfPath(location.pathname);
    const language = chooseLanguage(options.language, navigator.languages);
    const say = speak(language);
    page.lang = language;
    root.classList.toggle('has-labels', options.hasLabels);
    root.classList.toggle('has-timestamps', options.hasTimestamps);
    if (slug !== null) {
        document.title = `${slug} · Psyche`;
    }
    return { options, slug, say };
}

/** A screen that is left on, and that passing hands do not change. */
function settle() {
    ignoreAccidents(document);
    hideIdleCursor(page, browser);
    fullscreenOnDoubleClick(page);
    keepAwake();
}

async function main() {
    const { options, slug, say } = readAddress();
    const background = applyBackground(page, options.background, GROUND);
    settle();
    if (slug !== null && !isSlug(slug)) {
        message.textContent = say('badSlug', { slug });
        root.classList.add('is-refused');
        return;
    }
    const screens = await openScreens({ pipeline: options.pipeline });
    const isVisible = () => options.isAlwaysVisible || !document.hidden;
    const services = {
        environment: browser,
        screens,
        streamUrl: (/** @type {string} */ name) => socketUrl(`/ws/${name}`, location.href),
        surface: { fit: options.fit, background, isSmooth: true, isStill: isStill() },
        maxFps: options.maxFps,
        watchSight: options.isAlwaysVisible ? () => () => {} : watchSight,
        onShape: () => wall.arrange(),
        overlays: new Overlays(document, { environment: browser, fetchJson }),
        say,
    };
    const wall = new Wall(
        { selection: slug === null ? options.canvases : [slug], fit: options.fit, screen: options.screen },
        (name, shape) => new Tile(name, shape, root, { ...services, isVisible: isVisible() }),
        (count) => root.classList.toggle('is-empty', count === 0),
    );
    watchSize(root, (size, pixelRatio) => wall.resize(size, pixelRatio));
    document.addEventListener('visibilitychange', () => wall.setVisible(isVisible()));
    const notice = new Notice(/** @type {HTMLElement} */ (document.getElementById('notice')), browser);
    if (options.audio === 'mic') {
        listen({ openMicrophone, tiles: () => wall.tiles, notice, say, dataset: page.dataset });
    }
    const roster = new Roster(
        { list: '/canvases', events: socketUrl('/ws', location.href) },
        {
            onCanvases: (canvases) => {
                // Only now it is known that there is none.
                message.textContent = say('empty');
                wall.update(canvases);
            },
            onEnd: () => notice.show(say('unlisted')),
        },
        browser,
        fetchJson,
        screens.gate,
    );
    await roster.open();
}

/** Whether somebody who looks has asked for less motion. */
function isStill() {
    return matchMedia('(prefers-reduced-motion: reduce)').matches;
}

await main();
