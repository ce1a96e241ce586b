/**
 * One screen's figures, on its tile: how old its picture is and where that time went, and why frames are lost.
 *
 * What the browser measured is given to it; what the server knows of the connection it asks for itself,
 * while it is open. It knows no key and no screen.
 */

import { STAGES } from '../screen/figures.js';
import { UNKNOWN, duration, pace, rows, segments, serverFigures } from './format.js';

/**
 * @typedef {object} OverlayServices
 * @property {import('../stream/environment.js').Environment} environment
 * @property {(url: string, signal: AbortSignal) => Promise<any>} fetchJson
 * @property {(element: Element, onSize: () => void) => () => void} [watchSize] Calls at once and at every change;
 *     gives what ends it.
 */

// Figures of the server change slowly, and asking costs it something.
const ASK_MS = 2000;

// A server that answers later than this tells of another time.
const ASK_LIMIT_MS = 2 * ASK_MS;

// In letters of the panel's own size: below these it says less.
const WIDE_EM = 31;
const HIGH_EM = 21;
const TINY_WIDE_EM = 14;
const TINY_HIGH_EM = 7;

// How large letters are for a tile, in CSS pixels: 16 on a screen of 1080 lines, 32 at 4K.
const TILE_PER_EM = { width: 110, height: 66 };
const MIN_EM_PX = 10;
const MAX_EM_PX = 34;

const NOTHING = { fps: null, link: null, drops: null };

export class Overlay {
    #parent;
    #slug;
    #services;
    #elements;
    #unwatchSize;
    #subscriber;
    /** @type {import('./format.js').ServerFigures} */
    #server = NOTHING;
    /** @type {import('../screen/figures.js').Figures | null} */
    #figures = null;
    /** @type {any} */
    #timer = null;
    #asking = new AbortController();
    #isClosed = false;

    /**
     * @param {HTMLElement} parent
     * @param {string} slug
     * @param {number | null} subscriber As for `note`.
     * @param {OverlayServices} services
     */
    constructor(parent, slug, subscriber, services) {
        this.#parent = parent;
        this.#slug = slug;
        this.#subscriber = subscriber;
        this.#services = services;
        this.#elements = build(parent.ownerDocument, slug);
        parent.append(this.#elements.panel);
        this.#unwatchSize = (services.watchSize ?? watchSize)(parent, () => this.#fit());
        void this.#ask();
    }

    /** @param {number | null} subscriber This connection's number in the server's state; null: not told. */
    note(subscriber) {
        this.#subscriber = subscriber;
    }

    /** @param {import('../screen/figures.js').Figures} figures */
    show(figures) {
        this.#figures = figures;
        this.#write();
    }

    close() {
        this.#isClosed = true;
        this.#asking.abort();
        this.#services.environment.clearTimer(this.#timer);
        this.#unwatchSize();
        this.#elements.panel.remove();
    }

    async #ask() {
        // Nobody reads it on a page that is hidden.
        if (!this.#parent.ownerDocument.hidden) {
            const state = await this.#state();
            this.#server = serverFigures(state, this.#slug, this.#subscriber);
        }
        if (!this.#isClosed) {
            this.#write();
            this.#timer = this.#services.environment.setTimer(() => void this.#ask(), ASK_MS);
        }
    }

    /** What the server tells; null while it is away, or too slow: nothing is known of it then. */
    async #state() {
        const { environment, fetchJson } = this.#services;
        const whose = this.#subscriber === null ? 'subscribers=0' : `subscriber=${this.#subscriber}`;
        const asking = new AbortController();
        this.#asking = asking;
        this.#timer = environment.setTimer(() => asking.abort(), ASK_LIMIT_MS);
        const address = `/state?canvas=${encodeURIComponent(this.#slug)}&${whose}`;
        const state = await fetchJson(address, asking.signal).catch(() => null);
        environment.clearTimer(this.#timer);
        return state;
    }

    #write() {
        if (this.#figures === null) {
            return;
        }
        const { age, worst, frames, bar, values } = this.#elements;
        const ages = this.#figures.age_ms;
        age.textContent = duration(ages?.p50);
        worst.textContent = ages === null ? '' : `95 % ≤ ${duration(ages.p95)}`;
        frames.textContent = pace(this.#figures, this.#server);
        const stages = segments(this.#figures);
        for (const [name, { part, value }] of bar) {
            const stage = stages.find((one) => one.name === name);
            part.style.flexGrow = String(stage?.share ?? 0);
            value.textContent = stage?.text ?? UNKNOWN;
        }
        const told = rows(this.#figures, this.#server);
        for (const [name, value] of values) {
            value.textContent = told[name];
        }
    }

    /** Letters as large as the tile allows, and as much of the panel as there is room for. */
    #fit() {
        const { clientWidth: width, clientHeight: height } = this.#parent;
        const fitting = Math.min(width / TILE_PER_EM.width, height / TILE_PER_EM.height);
        const em = Math.min(MAX_EM_PX, Math.max(MIN_EM_PX, fitting));
        const { panel } = this.#elements;
        panel.style.fontSize = `${em}px`;
        panel.classList.toggle('is-compact', width < WIDE_EM * em || height < HIGH_EM * em);
        panel.classList.toggle('is-tiny', width < TINY_WIDE_EM * em || height < TINY_HIGH_EM * em);
    }
}

/** @type {NonNullable<OverlayServices['watchSize']>} */
function watchSize(element, onSize) {
    const observer = new ResizeObserver(onSize);
    observer.observe(element);
    onSize();
    return () => observer.disconnect();
}

const EMPTY = {
    fps: 0,
    age_ms: null,
    stages_ms: {},
    tier: null,
    size: null,
    rtt_ms: null,
    offset_error_ms: null,
    bytes_per_s: 0,
    drops: {},
};

/**
 * @param {Document} document
 * @param {string} slug
 */
function build(document, slug) {
    const make = (/** @type {string} */ name, /** @type {string} */ className, text = '') => {
        const made = document.createElement(name);
        made.className = className;
        made.textContent = text;
        return made;
    };
    const panel = make('aside', 'overlay');
    // Its words are English on every page.
    panel.lang = 'en';
    panel.setAttribute('aria-label', `figures of ${slug}`);
    const age = make('span', 'overlay-age', UNKNOWN);
    const worst = make('span', 'overlay-worst');
    const frames = make('span', 'overlay-frames', UNKNOWN);
    const head = make('p', 'overlay-head');
    head.append(age, worst, frames);
    const stack = make('div', 'overlay-bar');
    const legend = make('ul', 'overlay-legend');
    /** @type {Map<string, { part: HTMLElement, value: HTMLElement }>} */
    const bar = new Map();
    for (const name of STAGES) {
        const part = make('i', `overlay-part is-${name}`);
        const value = make('b', 'overlay-value', UNKNOWN);
        const entry = make('li', `overlay-stage is-${name}`, name);
        entry.append(value);
        stack.append(part);
        legend.append(entry);
        bar.set(name, { part, value });
    }
    const table = make('dl', 'overlay-table');
    /** @type {Map<string, HTMLElement>} */
    const values = new Map();
    for (const [name, text] of Object.entries(rows(EMPTY, NOTHING))) {
        const value = make('dd', '', text);
        table.append(make('dt', '', name), value);
        values.set(name, value);
    }
    panel.append(head, stack, legend, table);
    return { panel, age, worst, frames, bar, values };
}
