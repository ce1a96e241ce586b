/**
 * How pictures look while they are painted: asked for again at each step, at most four times a second for each job
 * and never two at once for one; only of those that are in sight. Pure but for what it is given.
 */

/**
 * @typedef {object} Wish
 * @property {string} url
 * @property {string} version Of what is there to see: another one is asked for when it changes.
 * @property {number} intervalMs Between two requests.
 * @property {() => boolean} [isThere] Whether there is still something to ask for, when its turn has come.
 */

/**
 * @typedef {object} Entry
 * @property {Wish} wish
 * @property {(blob: Blob) => void} show
 * @property {string | null} loaded The version that was asked for last.
 * @property {boolean} isLoading
 * @property {number} dueMs
 */

// Of all jobs together: the browser has six connections, and the pictures of the show come over them as well.
const MOST_AT_ONCE = 3;

// Nothing to see yet, or no longer.
const REST_MS = 5000;

export class Previews {
    #load;
    #environment;
    /** @type {Map<string, Entry>} */
    #entries = new Map();
    /** @type {Set<string>} */
    #visible = new Set();
    #isShown = true;
    #loading = 0;
    /** @type {any} */
    #timer = null;

    /**
     * @param {(url: string) => Promise<Blob | null>} load Null where there is nothing to see.
     * @param {Pick<import('../../stream/environment.js').Environment, 'setTimer' | 'clearTimer' | 'nowMs'>} environment
     */
    constructor(load, environment) {
        this.#load = load;
        this.#environment = environment;
    }

    /**
     * Follow a job.
     *
     * @param {string} id
     * @param {Wish} wish
     * @param {(blob: Blob) => void} show
     */
    follow(id, wish, show) {
        const entry = this.#entries.get(id);
        if (entry !== undefined) {
            entry.wish = wish;
        } else {
            const fresh = { wish, show, loaded: null, isLoading: false, dueMs: -Infinity };
            this.#entries.set(id, fresh);
        }
        if (this.#visible.has(id) && this.#loading < MOST_AT_ONCE) {
            this.#pump();
        }
    }

    /**
     * @param {string} id
     * @param {boolean} isVisible Whether somebody sees it.
     */
    setVisible(id, isVisible) {
        if (isVisible) {
            this.#visible.add(id);
            this.#pump();
        } else {
            this.#visible.delete(id);
        }
    }

    /** @param {boolean} isShown Whether the page is: nobody sees anything of a hidden one. */
    setShown(isShown) {
        this.#isShown = isShown;
        this.#pump();
    }

    /** @param {string} id */
    forget(id) {
        this.#entries.delete(id);
        this.#visible.delete(id);
    }

    /**
     * @param {string} id
     * @returns {[string, Entry][]} None where nothing is to be asked for.
     */
    #wanting(id) {
        const entry = this.#entries.get(id);
        if (entry === undefined || entry.isLoading || entry.loaded === entry.wish.version) {
            return [];
        }
        return entry.wish.isThere?.() === false ? [] : [[id, entry]];
    }

    #pump() {
        this.#environment.clearTimer(this.#timer);
        if (!this.#isShown) {
            return;
        }
        const nowMs = this.#environment.nowMs();
        const waiting = [...this.#visible]
            .flatMap((id) => this.#wanting(id))
            .sort(([, one], [, other]) => one.dueMs - other.dueMs);
        for (const [id, entry] of waiting) {
            if (this.#loading >= MOST_AT_ONCE) {
                return;
            }
            if (entry.dueMs > nowMs) {
                this.#timer = this.#environment.setTimer(() => this.#pump(), entry.dueMs - nowMs);
                return;
            }
            void this.#fetch(id, entry, nowMs);
        }
    }

    /**
     * @param {string} id
     * @param {Entry} entry
     * @param {number} nowMs
     */
    async #fetch(id, entry, nowMs) {
        const { url, version, intervalMs } = entry.wish;
        entry.isLoading = true;
        entry.loaded = version;
        entry.dueMs = nowMs + intervalMs;
        this.#loading += 1;
        const blob = await this.#load(`${url}?at=${encodeURIComponent(version)}`).catch(() => null);
        this.#loading -= 1;
        entry.isLoading = false;
        if (blob === null) {
            entry.dueMs = nowMs + REST_MS;
        } else if (this.#entries.get(id) === entry) {
            entry.show(blob);
        }
        this.#pump();
    }
}
