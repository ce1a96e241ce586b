/**
 * How far a job is, as a function of what the server told and of its clock: pure, and never a count of
 * its own, so that a page that was hidden shows on its return what it would have shown all along.
 */

/**
 * @typedef {object} Advance What is known of a job's way.
 * @property {string} id
 * @property {number} step
 * @property {number} total_steps 0 while it is unknown, or where there is no end.
 * @property {number | null} started_ms On the server's clock, as all instants here.
 * @property {number | null} ends_ms
 */

/**
 * @typedef {object} Point
 * @property {number} atMs
 * @property {number} fraction From 0 to 1.
 */

// A step that comes is caught up with so quickly that it is seen as one movement, and not as a jump.
const CATCH_UP_MS = 200;

// How much of a step is guessed: the last bit is left to the truth.
const LEAD = 0.9;

// So many steps tell the pace: the first ones of a job are slower than the others.
const KEPT_STEPS = 6;

// Between these a guess makes sense: below nobody sees it, above the next step may take for ever.
const MIN_STEP_MS = 20;
const MAX_STEP_MS = 600_000;

/**
 * The bar: between two steps it moves by estimate, up to nearly the next one and no further; never
 * backwards, unless the job itself begins anew.
 */
export class Bar {
    /** @type {Advance | null} */
    #job = null;
    #isHeld = false;
    /** @type {{ step: number, atMs: number }[]} */
    #marks = [];
    /** @type {Point[]} What it does from the newest step on, in the order of time. */
    #way = [];
    #latestMs = -Infinity;

    /**
     * Take what the server told.
     *
     * @param {Advance | null} job
     * @param {number} nowMs
     * @param {boolean} isHeld Nothing goes on at the moment, as far as anybody knows.
     */
    take(job, nowMs, isHeld) {
        const before = this.#job;
        const isSame = job !== null && before?.id === job.id;
        if (isSame && before.step === job.step && before.total_steps === job.total_steps && this.#isHeld === isHeld) {
            return;
        }
        const goesOn = isSame && job.step >= before.step && (before.total_steps || job.total_steps) === job.total_steps;
        if (!goesOn) {
            this.#marks = [];
            this.#way = [];
            this.#latestMs = -Infinity;
        }
        const from = this.at(nowMs);
        this.#job = job;
        this.#isHeld = isHeld;
        if (job !== null && job.total_steps > 0) {
            this.#note(job.step, nowMs);
            this.#way = this.#wayFrom(from, job, Math.max(nowMs, this.#latestMs));
        }
    }

    /**
     * Where it stands; null where nobody knows how long the way is.
     *
     * @param {number} nowMs
     * @returns {number | null}
     */
    at(nowMs) {
        // A clock that is set right may run backwards for an instant; the bar does not.
        this.#latestMs = Math.max(nowMs, this.#latestMs);
        return this.#way.length === 0 ? null : fractionAt(this.#way, this.#latestMs);
    }

    /**
     * The points that it passes from now on, the first one at this instant; empty where it has no end.
     *
     * @param {number} nowMs
     * @returns {Point[]}
     */
    ahead(nowMs) {
        // Also tells it how late it is.
        return this.at(nowMs) === null ? [] : onward(this.#way, this.#latestMs);
    }

    /**
     * @param {number | null} from Where it stands; null: nowhere yet.
     * @param {Advance} job
     * @param {number} nowMs
     */
    #wayFrom(from, { step, total_steps: total }, nowMs) {
        const truth = Math.min(1, step / total);
        const way = [{ atMs: nowMs, fraction: from ?? truth }];
        const stepMs = this.#stepMs();
        if (from !== null && from < truth) {
            // Steps that come faster than that must not leave it behind.
            way.push({ atMs: nowMs + Math.min(CATCH_UP_MS, stepMs ?? CATCH_UP_MS), fraction: truth });
        }
        const guess = Math.min(1, (step + LEAD) / total);
        const last = way[way.length - 1];
        if (stepMs !== null && !this.#isHeld && step < total && guess > last.fraction) {
            // As fast as the steps come: what is ahead already has less of the way to go.
            const leftMs = (guess - last.fraction) * total * stepMs;
            way.push({ atMs: Math.max(last.atMs + 1, nowMs + leftMs), fraction: guess });
        }
        return way;
    }

    /** How long a step takes, as far as anybody knows. */
    #stepMs() {
        const { step, total_steps: total, started_ms, ends_ms } = /** @type {Advance} */ (this.#job);
        const [first] = this.#marks;
        const last = this.#marks[this.#marks.length - 1];
        let stepMs = NaN;
        if (started_ms !== null && ends_ms !== null) {
            stepMs = (ends_ms - started_ms) / total;
        } else if (last.step > first.step) {
            stepMs = (last.atMs - first.atMs) / (last.step - first.step);
        } else if (started_ms !== null && step > 0) {
            stepMs = (last.atMs - started_ms) / step;
        }
        return stepMs > 0 && stepMs <= MAX_STEP_MS ? Math.max(MIN_STEP_MS, stepMs) : null;
    }

    /**
     * @param {number} step
     * @param {number} atMs
     */
    #note(step, atMs) {
        const last = this.#marks[this.#marks.length - 1];
        if (last === undefined || step > last.step) {
            this.#marks.push({ step, atMs });
        }
        if (this.#marks.length > KEPT_STEPS) {
            this.#marks.shift();
        }
    }
}

/**
 * The rest of a way, from an instant on.
 *
 * @param {Point[]} way In the order of time, not empty.
 * @param {number} nowMs
 * @returns {Point[]} The first one is at that instant.
 */
export function onward(way, nowMs) {
    return [{ atMs: nowMs, fraction: fractionAt(way, nowMs) }, ...way.filter((point) => point.atMs > nowMs)];
}

/**
 * A way that begins no lower than what is shown: clocks are set right by some milliseconds now and then, and the
 * bar is not to shrink for that. A way that ends lower is meant so.
 *
 * @param {Point[]} way In the order of time, not empty.
 * @param {number | null} shown Null: nothing yet.
 */
export function notBelow(way, shown) {
    if (shown === null || shown <= way[0].fraction || shown > way[way.length - 1].fraction) {
        return way;
    }
    return [{ atMs: way[0].atMs, fraction: shown }, ...way.filter(({ fraction }) => fraction > shown)];
}

/**
 * @param {Point[]} way In the order of time, not empty.
 * @param {number} atMs
 */
export function fractionAt(way, atMs) {
    const next = way.findIndex((point) => point.atMs > atMs);
    if (next === 0) {
        return way[0].fraction;
    }
    if (next === -1) {
        return way[way.length - 1].fraction;
    }
    const [one, other] = [way[next - 1], way[next]];
    const share = (atMs - one.atMs) / (other.atMs - one.atMs);
    return one.fraction + share * (other.fraction - one.fraction);
}

/**
 * @typedef {object} Times
 * @property {number} elapsedS Whole seconds since it began.
 * @property {number | null} remainingS Whole seconds until it ends; null where no end is known.
 * @property {number} changesInMs When one of the two is another one.
 */

/**
 * How long a job has gone on and will go on; null where it has not begun.
 *
 * @param {{ started_ms: number | null, ends_ms: number | null }} job
 * @param {number} nowMs On the server's clock.
 * @returns {Times | null}
 */
export function timesOf({ started_ms, ends_ms }, nowMs) {
    if (started_ms === null) {
        return null;
    }
    const elapsedMs = Math.max(0, nowMs - started_ms);
    const untilElapsedMs = nowMs < started_ms ? started_ms - nowMs + 1000 : 1000 - (elapsedMs % 1000);
    if (ends_ms === null) {
        return { elapsedS: Math.floor(elapsedMs / 1000), remainingS: null, changesInMs: untilElapsedMs };
    }
    const remainingMs = Math.max(0, ends_ms - nowMs);
    const untilRemainingMs = remainingMs > 0 ? remainingMs % 1000 || 1000 : Infinity;
    return {
        elapsedS: Math.floor(elapsedMs / 1000),
        remainingS: Math.ceil(remainingMs / 1000),
        changesInMs: Math.min(untilElapsedMs, untilRemainingMs),
    };
}

/**
 * Write seconds as `4:05` or `1:04:05`.
 *
 * @param {number} seconds Whole ones.
 */
export function clockTime(seconds) {
    const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
    const minutes = Math.floor(seconds / 60);
    const rest = `${minutes >= 60 ? two(minutes % 60) : minutes}:${two(seconds % 60)}`;
    return minutes >= 60 ? `${Math.floor(minutes / 60)}:${rest}` : rest;
}
