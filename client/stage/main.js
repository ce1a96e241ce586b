/**
 * The page of `/stage/{slug}`: a canvas with who asked, the progress and the queue beside it, for a
 * broadcast. One screen, and everything that is told comes with it.
 *
 * Whatever the browser says, the page counts as seen: OBS shows pages that it calls hidden.
 *
 * For tests and for a person with the developer tools, the `<canvas>` says in its data attributes what it
 * shows, as on the wall: `slug`, `sequence`, `job`, `painted`; `#stage` says the `phase`.
 */

import { Overlays } from '../overlay/overlays.js';
import { applyBackground } from '../page/background.js';
import { fetchJson } from '../page/json.js';
import { chooseLanguage } from '../page/language.js';
import { pageOptions, slugOfPath } from '../page/options.js';
import { socketUrl } from '../page/urls.js';
import { openScreens } from '../screen/screens.js';
import { browser } from '../stream/environment.js';
import { stageOptions } from './options.js';
import { keepInPlace } from './place.js';
import { Stage } from './stage.js';
import { WORDS } from './texts.js';

// As the style sheet has it.
const GROUND = '#050507';

// What OBS tells when a source is shown again, beside what every browser does.
const RETURNS = ['pageshow', 'focus', 'obsSourceVisibleChanged', 'obsSourceActiveChanged'];

const page = document.documentElement;
const root = /** @type {HTMLElement} */ (document.getElementById('stage'));
const place = /** @type {HTMLElement} */ (root.querySelector('.place'));
const canvas = /** @type {HTMLCanvasElement} */ (root.querySelector('canvas'));

/** What the address asks for; the page is dressed accordingly. */
function readAddress() {
    const warn = (/** @type {string} */ warning) => console.warn(warning);
    const slug = slugOfPath(location.pathname) ?? '';
    const options = { ...pageOptions(location, warn), ...stageOptions(location, warn) };
    const language = chooseLanguage(options.language, navigator.languages);
    page.lang = language;
    document.title = `${slug} · Psyche`;
    root.classList.toggle('is-bare', !options.hasHud);
    applyBackground(page, options.background, GROUND);
    canvas.dataset.slug = slug;
    canvas.setAttribute('aria-label', slug);
    return { slug, options, words: WORDS[language] };
}

async function main() {
    const { slug, options, words } = readAddress();
    const stage = new Stage(slug, root, canvas, { words, caption: options.caption });
    const screens = await openScreens({ pipeline: options.pipeline });
    const overlays = new Overlays(document, { environment: browser, fetchJson });
    const overlay = overlays.mount(place, slug, (isOpen) => screen.watchFigures(isOpen));
    const { onHello, ...events } = stage.events;
    const screen = screens.create(
        canvas,
        {
            slug,
            url: socketUrl(`/ws/${slug}`, location.href),
            isVisible: true,
            maxFps: options.maxFps,
            fit: options.fit,
            // What lies beside a picture is the stage's own ground, or what is behind the stage.
            background: null,
            isSmooth: false,
            isStill: matchMedia('(prefers-reduced-motion: reduce)').matches,
        },
        {
            ...events,
            onHello: (hello) => {
                overlay.note(hello);
                onHello?.(hello);
            },
            onFigures: (figures) => overlay.show(figures),
        },
    );
    keepInPlace(place, canvas, (size) => screen.hang({ place: size, view: { x: 0, y: 0, ...size } }));
    document.addEventListener('visibilitychange', () => stage.refresh());
    RETURNS.forEach((name) => addEventListener(name, () => stage.refresh()));
    screen.open();
}

await main();
