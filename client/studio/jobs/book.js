/**
 * The jobs that the page knows: what the server lists, and what it tells as it happens, merged. Pure.
 *
 * A list is as old as the moment it was written, and events overtake it. So: a job never goes back in its states,
 * and what was told since the list was asked for is newer than the list.
 */

/** @typedef {'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'} JobState */

/**
 * @typedef {object} ImageRecord
 * @property {string} url
 * @property {string} format
 * @property {number} width Pixels.
 * @property {number} height Pixels.
 * @property {Record<string, any>} metadata As the inference service tells it.
 */

/**
 * @typedef {object} JobRecord A job as `GET /jobs` tells it.
 * @property {string} id
 * @property {string | null} canvas
 * @property {'live' | 'once' | 'variations' | 'playlist' | 'ingest' | 'test' | 'drawing'} kind
 * @property {JobState} state
 * @property {string} source Who asked.
 * @property {string | null} author
 * @property {string | null} message
 * @property {string} prompt
 * @property {Record<string, any>} parameters
 * @property {number} step
 * @property {number} total_steps
 * @property {number | null} position Its place in the queue, from 1, while it waits.
 * @property {number} created_ms
 * @property {number | null} started_ms
 * @property {number | null} ends_ms
 * @property {ImageRecord[]} images
 * @property {string} preview
 * @property {string[]} warnings
 * @property {string | null} loading The model that is waited for.
 * @property {string | null} error
 * @property {string | null} reason
 */

/**
 * @typedef {object} Listed What the server lists.
 * @property {JobRecord[]} newest As many as were asked for, newest first.
 * @property {JobRecord[]} going All that run or wait, however old they are.
 */

/** @type {Record<JobState, number>} */
const RANKS = { queued: 0, running: 1, succeeded: 2, failed: 2, cancelled: 2 };

/** @param {{ state: JobState }} job */
export const isEnded = (job) => RANKS[job.state] === 2;

/**
 * Tell which of two records of one job is the newer one.
 *
 * @param {JobRecord} known
 * @param {JobRecord} other What came after it, and may be older all the same.
 */
export function newest(known, other) {
    return isEnded(known) || RANKS[other.state] < RANKS[known.state] ? known : other;
}

export class JobBook {
    /** @type {Map<string, JobRecord>} */
    jobs = new Map();
    /**
     * For each list that is on its way: the jobs that were told of meanwhile.
     *
     * @type {Set<Set<string>>}
     */
    #lists = new Set();
    /**
     * Until something changes: it is asked for by many at every change, and once is enough to sort.
     *
     * @type {JobRecord[] | null}
     */
    #sorted = null;

    /**
     * How many jobs are kept, the running and the waiting ones aside.
     *
     * @param {number} limit
     */
    constructor(limit) {
        this.limit = limit;
    }

    /**
     * Take an event.
     *
     * @param {JobRecord} job
     */
    tell(job) {
        this.#lists.forEach((told) => told.add(job.id));
        const known = this.jobs.get(job.id);
        this.jobs.set(job.id, known ? newest(known, job) : job);
        this.#sorted = null;
        if (isEnded(job)) {
            this.#trim();
        }
    }

    /**
     * A list is asked for now. Gives what `endList` or `dropList` wants to see again.
     *
     * @returns {Set<string>}
     */
    beginList() {
        const told = new Set();
        this.#lists.add(told);
        return told;
    }

    /**
     * The list does not come.
     *
     * @param {Set<string>} told
     */
    dropList(told) {
        this.#lists.delete(told);
    }

    /**
     * Take the list that was asked for: what it does not name any more is gone.
     *
     * @param {Set<string>} told What `beginList` gave.
     * @param {Listed} list
     * @param {number} asked For how many of the newest it was asked.
     */
    endList(told, { newest: page, going }, asked) {
        this.dropList(told);
        const listed = [...page, ...going];
        const names = new Set(listed.map((job) => job.id));
        // What ended and is older than the page's end was not asked for, unless the page is whole.
        const oldestMs = page.length < asked ? -Infinity : Math.min(...page.map((job) => job.created_ms));
        for (const [id, job] of this.jobs) {
            const wasAskedFor = job.created_ms >= oldestMs || !isEnded(job);
            if (wasAskedFor && !names.has(id) && !told.has(id)) {
                this.jobs.delete(id);
            }
        }
        for (const job of listed) {
            const known = this.jobs.get(job.id);
            if (known === undefined || (!told.has(job.id) && newest(known, job) === job)) {
                this.jobs.set(job.id, job);
            }
        }
        this.#sorted = null;
        this.#trim();
    }

    /** @returns {readonly JobRecord[]} */
    newestFirst() {
        this.#sorted ??= [...this.jobs.values()].sort((one, other) => other.created_ms - one.created_ms);
        return this.#sorted;
    }

    #trim() {
        if (this.jobs.size <= this.limit) {
            return;
        }
        for (const job of this.newestFirst().slice(this.limit)) {
            if (isEnded(job)) {
                this.jobs.delete(job.id);
            }
        }
        this.#sorted = null;
    }
}
