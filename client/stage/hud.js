/**
 * The stage's words and its bar on the page. Text goes in as text alone; what moves, moves by transform
 * and opacity, from where the server's clock says that it is.
 *
 * Movements begin in an animation frame: a browser that draws none, because nobody sees the page,
 * begins them when it draws again, from where they are by then.
 */

import { fractionAt, notBelow, onward } from './progress.js';

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./progress.js').Point} Point */

/**
 * @typedef {object} HudServices
 * @property {(callback: () => void) => void} nextFrame Calls before the next paint, however late that is.
 * @property {() => number} serverMs
 */

const ROWS = 5;

// As many characters as fill a line in large letters.
const LONG_NAME = 14;

const WRITTEN = /** @type {const} */ (['label', 'who', 'message', 'prompt', 'elapsed', 'step', 'remaining']);

// One sweep of the bar of what has no end.
const SWEEP_MS = 6000;

export class Hud {
    #root;
    #parts;
    #rows;
    #services;
    /** @type {{ id: string, startedMs: number | null } | null} */
    #job = null;
    #turn = 0;
    #isFrameAsked = false;
    #isEntranceDue = false;
    #isRunning = false;
    #isSweeping = false;
    /** @type {Point[]} */
    #way = [];
    /** @type {Point[]} What the bar was last set to follow. */
    #drawn = [];
    /** @type {Animation | null} */
    #movement = null;

    /**
     * @param {HTMLElement} root
     * @param {import('./texts.js').Words} words
     * @param {string} caption
     * @param {HudServices} services
     */
    constructor(root, words, caption, services) {
        this.#root = root;
        this.#services = services;
        const part = (/** @type {string} */ name) =>
            /** @type {HTMLElement} */ (root.querySelector(`[data-part='${name}']`));
        this.#parts = {
            label: part('label'),
            job: part('job'),
            who: part('who'),
            message: part('message'),
            prompt: part('prompt'),
            way: part('way'),
            bar: part('bar'),
            elapsed: part('elapsed'),
            step: part('step'),
            remaining: part('remaining'),
            queue: part('queue'),
            more: part('more'),
            fps: part('fps'),
        };
        this.#rows = makeRows(part('rows'));
        write(part('next'), words.next);
        write(part('caption'), caption);
    }

    /** @param {View} view */
    show(view) {
        const { dataset } = this.#root;
        set(dataset, 'phase', view.phase);
        set(dataset, 'waiting', String(view.next.length));
        set(dataset, 'running', String(view.isRunning));
        set(dataset, 'named', String(view.isNamed));
        WRITTEN.forEach((name) => write(this.#parts[name], view[name]));
        this.#parts.who.classList.toggle('is-long', view.who.length > LONG_NAME);
        this.#parts.way.hidden = !view.isRunning;
        this.#list(view);
        if (view.job !== null && view.job.id !== this.#job?.id) {
            this.#isEntranceDue = true;
            this.#drawn = [];
        }
        this.#job = view.job;
        this.#isSweeping = view.isEndless;
        this.#way = view.way;
        if (this.#isEntranceDue || view.isRunning || this.#isRunning) {
            this.#sync();
        }
        this.#isRunning = view.isRunning;
    }

    /** @param {string} text */
    showRate(text) {
        write(this.#parts.fps, text);
    }

    /** Put everything that moves where it is by now, before the next paint. */
    #sync() {
        if (!this.#isFrameAsked) {
            this.#isFrameAsked = true;
            this.#services.nextFrame(() => {
                this.#isFrameAsked = false;
                this.#move();
            });
        }
    }

    /** @param {View} view */
    #list({ next, more }) {
        this.#parts.queue.hidden = next.length === 0;
        write(this.#parts.more, more);
        this.#rows.forEach((row, index) => {
            const waiting = next[index];
            row.line.hidden = waiting === undefined;
            write(row.who, waiting?.who ?? '');
            write(row.wish, waiting?.wish ?? '');
        });
    }

    #move() {
        const nowMs = this.#services.serverMs();
        const { bar, job } = this.#parts;
        if (this.#isEntranceDue) {
            this.#isEntranceDue = false;
            this.#turn = 1 - this.#turn;
            const sinceMs = Math.max(0, nowMs - (this.#job?.startedMs ?? 0));
            job.style.setProperty('--since', `${-Math.round(sinceMs)}ms`);
            // Two names of one movement: a browser begins it anew only under another name.
            job.dataset.turn = String(this.#turn);
        }
        if (bar.classList.contains('is-endless') !== this.#isSweeping) {
            bar.style.setProperty('--phase', `${-Math.round(nowMs % SWEEP_MS)}ms`);
            bar.classList.toggle('is-endless', this.#isSweeping);
        }
        this.#draw(this.#way.length === 0 ? [] : notBelow(onward(this.#way, nowMs), this.#fractionShown()));
    }

    /** Where the bar stands on the page, however far its movement has come; null: it is none of this job's. */
    #fractionShown() {
        if (this.#drawn.length === 0) {
            return null;
        }
        const passedMs = this.#movement === null ? Infinity : Number(this.#movement.currentTime ?? Infinity);
        return fractionAt(this.#drawn, this.#drawn[0].atMs + passedMs);
    }

    /** @param {Point[]} way */
    #draw(way) {
        const { bar } = this.#parts;
        this.#movement?.cancel();
        this.#movement = null;
        this.#drawn = way;
        if (way.length === 0) {
            bar.style.transform = '';
            return;
        }
        const last = way[way.length - 1];
        const durationMs = last.atMs - way[0].atMs;
        // Where it stands once the movement is over, and in browsers that know none.
        bar.style.transform = scaled(last.fraction);
        if (durationMs > 0 && typeof bar.animate === 'function') {
            const frames = way.map(({ atMs, fraction }) => ({
                transform: scaled(fraction),
                offset: (atMs - way[0].atMs) / durationMs,
            }));
            this.#movement = bar.animate(frames, { duration: durationMs });
        }
    }
}

/** @param {number} fraction */
function scaled(fraction) {
    return `scaleX(${fraction.toFixed(5)})`;
}

/** @param {HTMLElement} list */
function makeRows(list) {
    return Array.from({ length: ROWS }, () => {
        const line = document.createElement('li');
        const who = document.createElement('b');
        const wish = document.createElement('span');
        line.hidden = true;
        // Which way a text is read is its own affair, and no reason to turn its neighbours.
        who.dir = wish.dir = 'auto';
        line.append(who, wish);
        list.append(line);
        return { line, who, wish };
    });
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
    if (element.hidden !== (text === '')) {
        element.hidden = text === '';
    }
}

/**
 * @param {DOMStringMap} dataset
 * @param {string} name
 * @param {string} value
 */
function set(dataset, name, value) {
    if (dataset[name] !== value) {
        dataset[name] = value;
    }
}
