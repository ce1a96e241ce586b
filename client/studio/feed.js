/**
 * Tells the store what the server says: events as they happen, lists when the connection is made, figures every two
 * seconds. It subscribes first and asks for the lists then, so that nothing falls between.
 */

import { EventsSocket } from '../stream/events.js';
import { MOST_JOBS } from './store.js';

/**
 * @typedef {object} FeedServices
 * @property {import('./store.js').Store} store
 * @property {import('./api.js').Api} api
 * @property {import('../stream/environment.js').Environment} environment
 * @property {import('../stream/gate.js').Entrance} gate
 * @property {string} url Of the events.
 * @property {() => boolean} isVisible
 */

const FIGURES_MS = 2000;
const OFFERS_MS = 15_000;
// While a model is being loaded, or a list did not come.
const SOON_MS = 3000;
// Without an inference service nothing is on offer, for a moment or for the night.
const OFFERS_CAP_MS = 30_000;

export class Feed {
    #store;
    #api;
    #environment;
    #isVisible;
    #socket;
    /** @type {Map<string, any>} */
    #timers = new Map();
    /** How often nothing was on offer, one after the other. */
    #refusals = 0;
    #isClosed = false;

    /** @param {FeedServices} services */
    constructor({ store, api, environment, gate, url, isVisible }) {
        this.#store = store;
        this.#api = api;
        this.#environment = environment;
        this.#isVisible = isVisible;
        this.#socket = new EventsSocket(
            url,
            ['canvases', 'jobs'],
            {
                onUp: () => this.#opened(),
                onDown: () => store.setConnection('down'),
                onEnd: () => store.setConnection('ended'),
                onEvent: (event) => this.#take(event),
            },
            environment,
            gate,
        );
    }

    open() {
        this.#socket.open();
    }

    close() {
        this.#isClosed = true;
        this.#socket.close();
        for (const timer of this.#timers.values()) {
            this.#environment.clearTimer(timer);
        }
    }

    /** The page is looked at again: what it shows is old. */
    wake() {
        this.askAccess();
        void this.#askOffers();
        void this.#askFigures();
    }

    /** Another tab of this browser may have logged in or out. */
    askAccess() {
        void this.#askAccess();
    }

    /** Ask for older jobs than are known. */
    async more() {
        if (this.#store.keepMoreJobs()) {
            await this.#askJobs();
        }
    }

    #opened() {
        this.#store.setConnection('up');
        // It may be another server than the last time.
        this.#refusals = 0;
        void this.#askJobs();
        this.wake();
    }

    /** @param {any} event */
    #take(event) {
        if (event.type === 'canvases' && Array.isArray(event.canvases)) {
            this.#store.setCanvases(event.canvases);
        } else if (event.type === 'job' && typeof event.job?.id === 'string') {
            this.#store.setJob(event.job);
        }
    }

    async #askJobs() {
        try {
            await this.#store.listJobs((limit) => this.#listJobs(limit));
        } catch {
            this.#later('jobs', SOON_MS, () => this.#askJobs());
        }
    }

    /**
     * What runs or waits may be older than any number of jobs that came and ended since.
     *
     * @param {number} limit Of the newest.
     */
    async #listJobs(limit) {
        const queries = [`limit=${limit}`, `state=running&limit=${MOST_JOBS}`, `state=queued&limit=${MOST_JOBS}`];
        const answers = await Promise.all(queries.map((query) => this.#api.get(`/jobs?${query}`)));
        const [newest, running, queued] = answers.map(({ jobs }) => jobs);
        return { newest, going: [...running, ...queued] };
    }

    async #askAccess() {
        const { access } = this.#store;
        try {
            const { needs_token, authorised } = await this.#api.get('/login');
            if (this.#store.access === access) {
                this.#store.setAccess({ needsToken: needs_token === true, isAuthorised: authorised === true });
            } else {
                // Somebody logged in or out meanwhile: the answer may be of before.
                this.askAccess();
            }
        } catch {
            this.#later('access', SOON_MS, () => this.#askAccess());
        }
    }

    async #askOffers() {
        let delayMs = OFFERS_MS;
        try {
            const [offered, styled] = await Promise.all([this.#api.get('/models'), this.#api.get('/styles')]);
            this.#store.setOffers({
                models: offered.models,
                defaultModel: offered.default,
                styles: styled.styles,
                templates: styled.templates,
            });
            this.#refusals = 0;
            if (this.#store.models.some((model) => model.state === 'loading')) {
                delayMs = SOON_MS;
            }
        } catch (error) {
            this.#store.setOffersProblem(error);
            // Full jitter: the pages of a whole house ask.
            delayMs = this.#environment.random() * Math.min(OFFERS_CAP_MS, SOON_MS * 2 ** this.#refusals);
            this.#refusals += 1;
        }
        this.#later('offers', delayMs, () => this.#askOffers());
    }

    async #askFigures() {
        const askedMs = this.#environment.nowMs();
        const wasServing = this.#store.service?.serving === true;
        try {
            this.#store.setState(await this.#api.get('/state?subscribers=0'), askedMs);
            if (!wasServing && this.#store.service?.serving === true && this.#store.offersProblem !== null) {
                // It is there by now.
                this.#refusals = 0;
                void this.#askOffers();
            }
        } catch {
            // The figures stay as they were; that the server is away is told by the connection.
        }
        this.#later('figures', FIGURES_MS, () => this.#askFigures());
    }

    /**
     * Do something once, later. While the server is away it is left to the next connection, and what only
     * keeps the page current is left to `wake` while nobody looks.
     *
     * @param {string} name One of each at a time.
     * @param {number} delayMs
     * @param {() => void} run
     */
    #later(name, delayMs, run) {
        if (this.#isClosed) {
            return;
        }
        this.#environment.clearTimer(this.#timers.get(name));
        const timer = this.#environment.setTimer(() => {
            this.#timers.delete(name);
            const isWanted = this.#isVisible() || !['offers', 'figures'].includes(name);
            if (isWanted && this.#store.connection === 'up') {
                run();
            }
        }, delayMs);
        this.#timers.set(name, timer);
    }
}
