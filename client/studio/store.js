/**
 * What the page knows of the server, in one place. It asks nobody: `feed.js` tells it, and those who show something
 * of it listen to its events `canvases`, `jobs`, `traffic`, `offers`, `connection`, `access`, `authorised` and
 * `selection`.
 */

import { JobBook } from './jobs/book.js';

/** @typedef {import('./jobs/book.js').JobRecord} JobRecord */
/** @typedef {import('../stream/wire.js').CanvasRecord & Record<string, any>} StudioCanvas */

/**
 * @typedef {object} ModelRecord A model as `GET /models` tells it; what is used here.
 * @property {string} name
 * @property {string} description
 * @property {string} engine
 * @property {'not_loaded' | 'loading' | 'ready' | 'failed' | 'unspecified'} state
 * @property {number} default_width Pixels.
 * @property {number} default_height Pixels.
 * @property {number} default_steps
 * @property {number} default_guidance_scale
 * @property {number} min_size Pixels a side.
 * @property {number} max_size Pixels a side.
 * @property {number} max_steps
 * @property {boolean} uses_negative_prompt
 * @property {boolean} uses_guidance
 * @property {boolean} paints_from_source
 * @property {boolean} paints_from_mask
 * @property {string} error
 * @property {string[]} aliases
 */

/**
 * @typedef {object} StyleRecord
 * @property {string} name
 * @property {string} description
 */

/**
 * @typedef {object} Offers
 * @property {ModelRecord[]} models
 * @property {string} defaultModel
 * @property {StyleRecord[]} styles
 * @property {StyleRecord[]} templates
 */

// A page shows a hundred results at first.
const FIRST_JOBS = 100;
// Clocks drift, and one may be set.
const CLOCK_KEPT_MS = 30_000;
// The server gives no more at once.
export const MOST_JOBS = 1000;

export class Store extends EventTarget {
    /** @type {StudioCanvas[]} */
    canvases = [];
    /**
     * Of each canvas, by slug: its part of `GET /state`.
     *
     * @type {Map<string, Record<string, any>>}
     */
    traffic = new Map();
    /**
     * The inference service, as `GET /state` tells it; null while nothing is known.
     *
     * @type {Record<string, any> | null}
     */
    service = null;
    /** @type {ModelRecord[]} */
    models = [];
    defaultModel = '';
    /** @type {StyleRecord[]} */
    styles = [];
    /** @type {StyleRecord[]} */
    templates = [];
    /**
     * Why nothing is on offer at the moment; null while all is well.
     *
     * @type {unknown}
     */
    offersProblem = null;
    /**
     * Ended: the server wants no other attempt of this page.
     *
     * @type {'up' | 'down' | 'ended'}
     */
    connection = 'down';
    access = { needsToken: false, isAuthorised: true };
    /** Whether the jobs were listed once: what is known before is what happened to happen. */
    isListed = false;
    /**
     * The slugs that were chosen for the prompt: some may not be there at the moment.
     *
     * @type {ReadonlySet<string>}
     */
    chosen = new Set();
    /**
     * The slugs that the prompt goes to: those of the chosen ones that are there.
     *
     * @type {ReadonlySet<string>}
     */
    selection = new Set();
    #isAccessKnown = false;
    /** @type {StudioCanvas[]} */
    #toldCanvases = [];
    #book = new JobBook(FIRST_JOBS);
    #clock = { offsetMs: 0, rttMs: Infinity, atMs: -Infinity };
    #nowMs;

    /** @param {() => number} nowMs Unix milliseconds of this browser. */
    constructor(nowMs) {
        super();
        this.#nowMs = nowMs;
    }

    /** By id. */
    get jobs() {
        return this.#book.jobs;
    }

    /** Whether this page may only look until somebody logs in. */
    get isLocked() {
        return this.access.needsToken && !this.access.isAuthorised;
    }

    /** How many jobs are kept. */
    get jobLimit() {
        return this.#book.limit;
    }

    newestJobs() {
        return this.#book.newestFirst();
    }

    /** Unix milliseconds on the server's clock, as well as it is known. */
    serverNowMs() {
        return this.#nowMs() + this.#clock.offsetMs;
    }

    /** @param {StudioCanvas[]} canvases As the server tells of them by itself. */
    setCanvases(canvases) {
        this.#toldCanvases = canvases;
        this.#takeCanvases(canvases);
    }

    /** @param {StudioCanvas[]} canvases */
    #takeCanvases(canvases) {
        this.canvases = canvases;
        this.#tell('canvases');
        const selected = this.#chosenThere();
        if (selected.size !== this.selection.size || [...selected].some((slug) => !this.selection.has(slug))) {
            this.selection = selected;
            this.#tell('selection');
        }
    }

    /**
     * Change a canvas, and take what the server answers: the events may be late, or cut off. What they told of it
     * meanwhile is newer, or is followed by the event of this change. A canvas that went meanwhile does not come
     * back by it.
     *
     * @param {string} slug
     * @param {() => Promise<{ canvas: StudioCanvas }>} ask
     * @returns {Promise<StudioCanvas>} As it is known now.
     */
    async changeCanvas(slug, ask) {
        const before = this.#toldOf(slug);
        const { canvas } = await ask();
        const isSame = (/** @type {StudioCanvas} */ known) => known.slug === slug && known.epoch === canvas.epoch;
        if (this.#toldOf(slug) === before && this.canvases.some(isSame)) {
            this.#takeCanvases(this.canvases.map((known) => (isSame(known) ? canvas : known)));
        }
        return this.canvases.find(isSame) ?? canvas;
    }

    /**
     * What the events told of a canvas last.
     *
     * @param {string} slug
     */
    #toldOf(slug) {
        return JSON.stringify(this.#toldCanvases.find((canvas) => canvas.slug === slug));
    }

    /** @param {JobRecord} job */
    setJob(job) {
        this.#book.tell(job);
        this.#tell('jobs');
    }

    /**
     * Take a list of jobs, and keep in mind what is told of them while it is on its way.
     *
     * @param {(limit: number) => Promise<import('./jobs/book.js').Listed>} ask
     */
    async listJobs(ask) {
        const told = this.#book.beginList();
        const limit = this.#book.limit;
        try {
            this.#book.endList(told, await ask(limit), limit);
        } finally {
            this.#book.dropList(told);
        }
        this.isListed = true;
        this.#tell('jobs');
    }

    /** Keep more jobs from now on; whether that is possible. */
    keepMoreJobs() {
        const limit = Math.min(MOST_JOBS, this.#book.limit + FIRST_JOBS);
        const isMore = limit > this.#book.limit;
        this.#book.limit = limit;
        return isMore;
    }

    /**
     * @param {{ server_time_ms?: number, canvases?: Record<string, any>, inference?: Record<string, any> }} state
     * @param {number} askedMs When it was asked for, on this browser's clock.
     */
    setState(state, askedMs) {
        const nowMs = this.#nowMs();
        const rttMs = nowMs - askedMs;
        // Where the answer took the least time the clock is known best.
        const isBetter = rttMs <= this.#clock.rttMs || nowMs - this.#clock.atMs > CLOCK_KEPT_MS;
        if (typeof state.server_time_ms === 'number' && isBetter) {
            this.#clock = { offsetMs: state.server_time_ms - (askedMs + nowMs) / 2, rttMs, atMs: nowMs };
        }
        this.traffic = new Map(Object.entries(state.canvases ?? {}));
        this.service = state.inference ?? null;
        this.#tell('traffic');
    }

    /** @param {Offers} offers */
    setOffers({ models, defaultModel, styles, templates }) {
        Object.assign(this, { models, defaultModel, styles, templates, offersProblem: null });
        this.#tell('offers');
    }

    /** @param {unknown} problem An error, as it came. */
    setOffersProblem(problem) {
        this.offersProblem = problem;
        this.#tell('offers');
    }

    /** @param {Store['connection']} connection */
    setConnection(connection) {
        if (connection !== this.connection) {
            this.connection = connection;
            this.#tell('connection');
        }
    }

    /**
     * Take what this page may do. It tells `access` where that is news, and `authorised` where a login or a logout
     * made it so: connections that were opened before have the rights of then.
     *
     * @param {{ needsToken: boolean, isAuthorised: boolean }} access
     */
    setAccess(access) {
        const before = this.access;
        const wasKnown = this.#isAccessKnown;
        const isChanged = access.isAuthorised !== before.isAuthorised;
        this.#isAccessKnown = true;
        if (isChanged || access.needsToken !== before.needsToken) {
            this.access = access;
            this.#tell('access');
        }
        if (isChanged && wasKnown) {
            this.#tell('authorised');
        }
    }

    /**
     * @param {string} slug
     * @param {boolean} isSelected
     */
    select(slug, isSelected) {
        const others = [...this.chosen].filter((chosen) => chosen !== slug);
        this.selectOnly(isSelected ? [...others, slug] : others);
    }

    /**
     * Let the prompt go to these, as far as they are there; one that comes back is chosen again.
     *
     * @param {string[]} slugs
     */
    selectOnly(slugs) {
        this.chosen = new Set(slugs);
        this.selection = this.#chosenThere();
        this.#tell('selection');
    }

    /**
     * Give the model of a name or an alias, '' being the default.
     *
     * @param {string} name
     */
    model(name) {
        const wanted = name || this.defaultModel;
        return this.models.find((model) => model.name === wanted || model.aliases.includes(wanted)) ?? null;
    }

    #chosenThere() {
        return new Set(this.canvases.map((canvas) => canvas.slug).filter((slug) => this.chosen.has(slug)));
    }

    /** @param {string} type */
    #tell(type) {
        this.dispatchEvent(new Event(type));
    }
}
