/**
 * What a listener is told of the jobs: that pictures are ready, that one failed, and quarters of the way. Not every
 * step, and nothing of what was there when the page was opened or is looked up later. Pure.
 */

import { isEnded } from './book.js';

/** @typedef {import('./book.js').JobRecord} JobRecord */

/**
 * @typedef {object} Announcement
 * @property {string} key
 * @property {Record<string, string | number>} values
 */

// Of a prompt that is read out.
const WORDS_CHARS = 60;

// With more at once quarters are noise; that they are ready is told all the same.
const MOST_FOLLOWED = 2;

export class Announcements {
    /** @type {Map<string, { quarter: number, isEnded: boolean }>} */
    #known = new Map();
    /** When the newest job was made that was ever seen: what is older and comes ended was looked up. */
    #newestMs = -Infinity;
    #isFirst = true;

    /**
     * Tell what is news in these jobs since the last call.
     *
     * @param {readonly JobRecord[]} jobs All that are known.
     * @returns {Announcement[]}
     */
    news(jobs) {
        const running = jobs.filter((job) => job.state === 'running' && job.kind !== 'live').length;
        /** @type {Announcement[]} */
        const told = [];
        let ready = 0;
        const known = new Map();
        for (const job of jobs) {
            const before = this.#known.get(job.id);
            const quarter = quarterOf(job);
            const hasEnded = isEnded(job);
            known.set(job.id, { quarter, isEnded: hasEnded });
            const isLookedUp = before === undefined && hasEnded && job.created_ms < this.#newestMs;
            if (this.#isFirst || before?.isEnded || isLookedUp) {
                continue;
            }
            const prompt = job.prompt.slice(0, WORDS_CHARS);
            if (job.state === 'failed') {
                told.push({ key: 'announce.failed', values: { prompt, error: job.error ?? '' } });
            } else if (job.kind === 'live') {
                // Its pictures are seen as they come, and it is never ready.
                continue;
            } else if (job.state === 'succeeded') {
                ready += job.images.length;
            } else if (running <= MOST_FOLLOWED && quarter > (before?.quarter ?? 0)) {
                const percent = quarter * 25;
                told.push({ key: 'progress.announce', values: { prompt, percent, count: percent } });
            }
        }
        this.#known = known;
        this.#newestMs = jobs.reduce((newestMs, job) => Math.max(newestMs, job.created_ms), this.#newestMs);
        this.#isFirst = false;
        return ready > 0 ? [{ key: 'announce.ready', values: { count: ready } }, ...told] : told;
    }
}

/** @param {JobRecord} job */
function quarterOf({ state, step, total_steps: total }) {
    return state === 'running' && total > 0 ? Math.min(3, Math.floor((4 * step) / total)) : 0;
}
