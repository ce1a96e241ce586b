/**
 * What the stage shows, as a function of what the server told and of its clock: pure. It knows neither
 * the page nor the network, and everything that it gives is clean text or a number.
 */

import { SINGLE_PICTURES } from '../stream/wire.js';
import { isNumber, readJob } from './job.js';
import { Bar, clockTime, timesOf } from './progress.js';
import { LIMITS, clean } from './text.js';
import { wordFor } from './texts.js';

/** @typedef {import('./job.js').Job} Job */
/** @typedef {import('./texts.js').Words} Words */

/**
 * @typedef {'connecting' | 'painting' | 'waiting' | 'paused' | 'blank' | 'unavailable' | 'lost' | 'full' | 'gone'
 *     | 'refused'} Phase
 */

/**
 * @typedef {object} View
 * @property {Phase} phase
 * @property {string} label What is going on.
 * @property {{ id: string, startedMs: number | null } | null} job Whose words these are; null: nobody's.
 * @property {boolean} isRunning Whether it is going on: what has ended has no times.
 * @property {boolean} isEndless Whether nobody knows how long the way is.
 * @property {import('./progress.js').Point[]} way Of the bar, on the server's clock: where it is and will be until
 *     something new is told; empty where nobody knows.
 * @property {boolean} hasRate Whether pictures are to come in numbers a second.
 * @property {string} who
 * @property {boolean} isNamed
 * @property {string} message
 * @property {string} prompt
 * @property {string} step
 * @property {string} elapsed
 * @property {string} remaining
 * @property {{ who: string, wish: string }[]} next
 * @property {string} more
 * @property {number} changesInMs When to look again, though nothing is told; Infinity: never.
 */

// A connection that comes back at once was never lost.
const PATIENCE_MS = 2000;

// The last picture of a job is decoded and drawn after its end is told.
const GRACE_MS = 1000;

const SHOWN_WAITING = 5;

// Nothing goes on, and nobody knows for how long: there is no time to count down.
const STANDING = new Set(['paused', 'unavailable']);

const NO_SUCH_CANVAS = 4404;
const FULL = 1013;

export class Model {
    #bar = new Bar();
    #slug;
    #words;
    /** @type {number | null} */
    #offsetMs = null;
    #isOffsetMeasured = false;
    /** @type {string | null} */
    #epoch = null;
    #state = 'idle';
    /** @type {Job | null} */
    #job = null;
    /** @type {Job | null} The one before, which may have left its picture. */
    #last = null;
    /** Until when its last picture may still come, on this browser's clock. */
    #graceEndsMs = -Infinity;
    /** @type {string | null} The job whose last picture is shown. */
    #finished = null;
    /** @type {Job[]} */
    #next = [];
    #queued = 0;
    /** @type {number | null} Since when there is no connection, on this browser's clock. */
    #downMs;
    #isGreeted = false;
    #isFull = false;
    /** @type {number | null} */
    #endCode = null;

    /**
     * @param {string} slug
     * @param {Words} words
     * @param {number} nowMs As all instants that come in here, on this browser's clock.
     */
    constructor(slug, words, nowMs) {
        this.#slug = slug;
        this.#words = words;
        this.#downMs = nowMs;
    }

    /**
     * @param {{ epoch?: string, server_time_ms?: number }} hello
     * @param {number} nowMs
     */
    greet(hello, nowMs) {
        this.#downMs = null;
        this.#endCode = null;
        this.#isGreeted = true;
        this.#isFull = false;
        if (isNumber(hello.server_time_ms) && !this.#isOffsetMeasured) {
            // Late by the way it came; good enough until the clock is known.
            this.#offsetMs = hello.server_time_ms - nowMs;
        }
        if (hello.epoch !== this.#epoch) {
            // Another incarnation of the canvas: what was painted before is none of its business.
            this.#epoch = hello.epoch ?? null;
            this.#job = this.#last = this.#finished = null;
        }
    }

    /** @param {{ offset_ms: number }} clock */
    setClock({ offset_ms }) {
        this.#offsetMs = offset_ms;
        this.#isOffsetMeasured = true;
    }

    /**
     * @param {Record<string, any>} status
     * @param {number} nowMs
     */
    follow(status, nowMs) {
        const job = readJob(status.job, this.#words);
        if (this.#job !== null && this.#job.id !== job?.id) {
            this.#last = this.#job;
            this.#graceEndsMs = nowMs + GRACE_MS;
        }
        this.#job = job;
        this.#state = status.state;
        const { queue } = status;
        const next = Array.isArray(queue?.next) ? queue.next.slice(0, SHOWN_WAITING) : [];
        this.#next = next.map((/** @type {unknown} */ waiting) => readJob(waiting, this.#words)).filter(isJob);
        this.#queued = isNumber(queue?.length) ? Math.max(queue.length, this.#next.length) : this.#next.length;
        this.#bar.take(job, this.serverMs(nowMs), STANDING.has(this.#state));
    }

    /**
     * @param {{ job?: string | null, final?: boolean }} frame A frame that is shown.
     * @returns {boolean} Whether this changes what is told.
     */
    show({ job, final }) {
        const finished = final === true && typeof job === 'string' ? job : null;
        const isNews = finished !== this.#finished;
        this.#finished = finished;
        return isNews;
    }

    /**
     * @param {number} nowMs
     * @param {number} [code]
     */
    lose(nowMs, code) {
        this.#downMs ??= nowMs;
        this.#isFull = code === FULL;
    }

    /** @param {number} code */
    end(code) {
        this.#endCode = code;
    }

    /**
     * The server's clock. While there is no connection it stands still: nobody knows what goes on.
     *
     * @param {number} nowMs
     */
    serverMs(nowMs) {
        const known = this.#downMs === null ? nowMs : Math.min(nowMs, this.#downMs + PATIENCE_MS);
        return known + (this.#offsetMs ?? 0);
    }

    /**
     * @param {number} nowMs
     * @returns {View}
     */
    view(nowMs) {
        const phase = this.#phase(nowMs);
        const untilLostMs = this.#downMs === null ? Infinity : this.#downMs + PATIENCE_MS - nowMs;
        const untilGoneMs = this.#job === null && this.#last !== null ? this.#graceEndsMs - nowMs : Infinity;
        const changesInMs = Math.min(...[untilLostMs, untilGoneMs].filter((ms) => ms > 0), Infinity);
        if (phase === 'gone' || phase === 'refused') {
            return { ...NOTHING, phase, label: this.#words.phases[phase], who: this.#slug };
        }
        if (phase === 'blank' || phase === 'full') {
            // Blank is the way to get words off the screen, too.
            return { ...NOTHING, phase, label: this.#words.phases[phase], changesInMs };
        }
        const running = this.#job;
        const job = running ?? this.#credited(nowMs);
        const times = running && timesOf(running, this.serverMs(nowMs));
        const isMoving = this.#downMs === null || untilLostMs > 0;
        return {
            ...NOTHING,
            phase,
            label: this.#label(phase),
            ...(job === null ? { who: phase === 'waiting' ? this.#words.waiting : '' } : wordsOf(job)),
            isRunning: running !== null,
            isEndless: running?.total_steps === 0,
            hasRate: running === null || !SINGLE_PICTURES.has(running.kind),
            way: running === null ? [] : this.#bar.ahead(this.serverMs(nowMs)),
            step: running === null ? '' : stepOf(running, this.#words),
            elapsed: times === null ? '' : clockTime(times.elapsedS),
            remaining: times === null || STANDING.has(this.#state) ? '' : remainingOf(times),
            next: this.#next.map(({ who, prompt, message }) => ({
                who,
                wish: clean(prompt || message, LIMITS.waiting),
            })),
            more: this.#queued > this.#next.length ? this.#words.more(this.#queued - this.#next.length) : '',
            changesInMs: Math.min(changesInMs, times !== null && isMoving ? times.changesInMs : Infinity),
        };
    }

    /**
     * @param {number} nowMs
     * @returns {Phase}
     */
    #phase(nowMs) {
        if (this.#endCode !== null) {
            return this.#endCode === NO_SUCH_CANVAS ? 'gone' : 'refused';
        }
        if (this.#downMs !== null && nowMs >= this.#downMs + PATIENCE_MS) {
            return this.#isFull && !this.#isGreeted ? 'full' : 'lost';
        }
        if (!this.#isGreeted) {
            return 'connecting';
        }
        if (this.#state === 'blank' || this.#state === 'paused' || this.#state === 'unavailable') {
            return this.#state;
        }
        return this.#job === null ? 'waiting' : 'painting';
    }

    /** @param {Phase} phase */
    #label(phase) {
        if (phase !== 'painting') {
            return this.#words.phases[phase];
        }
        const { isLoading, kind } = /** @type {Job} */ (this.#job);
        return isLoading ? this.#words.loading : (wordFor(this.#words.kinds, kind) ?? '');
    }

    /**
     * The job whose finished picture is shown: its words go with it. What was cancelled has finished none.
     *
     * @param {number} nowMs
     */
    #credited(nowMs) {
        const isMeant = this.#last?.id === this.#finished || nowMs < this.#graceEndsMs;
        return isMeant ? this.#last : null;
    }
}

/** @type {View} */
const NOTHING = {
    phase: 'connecting',
    label: '',
    job: null,
    isRunning: false,
    isEndless: false,
    hasRate: true,
    way: [],
    who: '',
    isNamed: false,
    message: '',
    prompt: '',
    step: '',
    elapsed: '',
    remaining: '',
    next: [],
    more: '',
    changesInMs: Infinity,
};

/** @param {Job} job */
function wordsOf({ id, started_ms, who, isNamed, message, prompt }) {
    // Whose wish was painted as it was written has said it once.
    const own = prompt === message ? '' : prompt;
    return { job: { id, startedMs: started_ms }, who, isNamed, message, prompt: own };
}

/** @param {import('./progress.js').Times} times */
function remainingOf({ remainingS }) {
    if (remainingS === null) {
        return '';
    }
    return remainingS === 0 ? clockTime(0) : `−${clockTime(remainingS)}`;
}

/**
 * @param {Job} job
 * @param {Words} words
 */
function stepOf({ step, total_steps }, words) {
    return total_steps > 1 ? `${words.step} ${Math.min(step, total_steps)} / ${total_steps}` : '';
}

/** @type {(job: Job | null) => job is Job} */
const isJob = (job) => job !== null;
