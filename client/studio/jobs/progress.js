/** How far a job is, in what a bar and a line of words need. Pure. */

/** @typedef {import('./book.js').JobRecord} JobRecord */

/**
 * @typedef {object} Progress
 * @property {'none' | 'unsure' | 'sure'} bar None: it waits, or goes on until it is replaced. Unsure: it moves,
 *     and nobody knows how far it is.
 * @property {number} step
 * @property {number} total 0: not known.
 * @property {string} key Of the text.
 * @property {Record<string, string | number>} values
 * @property {number | null} elapsedMs
 * @property {number | null} remainingMs As far as it can be told.
 */

// Goes on until something replaces it.
const isEndless = (/** @type {JobRecord} */ { kind, parameters }) =>
    kind === 'live' || kind === 'ingest' || parameters.loop === true;

// What the inference service paints; the others come from elsewhere.
const PAINTED = new Set(['live', 'once', 'variations']);

/**
 * Whether a job that runs does nothing but wait for the inference service.
 *
 * @param {JobRecord} job
 * @param {{ canvases: { slug: string, state?: string }[], service: Record<string, any> | null }} known
 */
export function isWaitingForService({ kind, state, canvas }, { canvases, service }) {
    if (state !== 'running' || !PAINTED.has(kind)) {
        return false;
    }
    const told = canvases.find(({ slug }) => slug === canvas)?.state;
    if (told === 'unavailable' || told === 'painting') {
        return told === 'unavailable';
    }
    // A canvas that is dark or paused does not tell, and some jobs have none.
    return service?.serving === false;
}

/**
 * @param {JobRecord} job That has not ended.
 * @param {number} nowMs On the server's clock.
 * @param {boolean} [isWaiting] For the inference service: no time of painting passes.
 * @returns {Progress}
 */
export function progressOf(job, nowMs, isWaiting = false) {
    const { step, total_steps: total } = job;
    const told = { bar: /** @type {Progress['bar']} */ ('none'), step, total, elapsedMs: null, remainingMs: null };
    if (job.state === 'queued') {
        return job.position === null
            ? { ...told, key: 'progress.queued', values: {} }
            : { ...told, key: 'progress.position', values: { position: job.position } };
    }
    if (isWaiting) {
        return { ...told, key: 'progress.away', values: {} };
    }
    const elapsedMs = Math.max(0, nowMs - (job.started_ms ?? nowMs));
    if (job.loading !== null && job.loading !== undefined) {
        return { ...told, bar: 'unsure', elapsedMs, key: 'progress.loading', values: { model: job.loading } };
    }
    if (isEndless(job)) {
        const key = job.kind === 'live' ? 'progress.live' : 'progress.running';
        return { ...told, elapsedMs, key, values: {} };
    }
    if (total <= 0) {
        return { ...told, bar: 'unsure', elapsedMs, key: 'progress.starting', values: {} };
    }
    return {
        ...told,
        bar: 'sure',
        elapsedMs,
        remainingMs: remainingMs(job, elapsedMs, nowMs),
        key: job.kind === 'once' || job.kind === 'drawing' ? 'progress.step' : 'progress.picture',
        values: { step, total },
    };
}

/**
 * @param {JobRecord} job
 * @param {number} elapsedMs
 * @param {number} nowMs
 */
function remainingMs({ step, total_steps: total, ends_ms: endsMs }, elapsedMs, nowMs) {
    if (endsMs !== null) {
        return Math.max(0, endsMs - nowMs);
    }
    // Steps take about the same time each.
    return step > 0 && step < total ? (elapsedMs / step) * (total - step) : null;
}

/**
 * Say why a job ended that has no result to show.
 *
 * @param {JobRecord} job
 * @returns {{ key: string, values: Record<string, string> }}
 */
export function endingOf({ state, error, reason }) {
    if (state === 'failed') {
        return error === null ? { key: 'ended.silent', values: {} } : { key: 'ended.failed', values: { error } };
    }
    if (state === 'succeeded') {
        return { key: 'ended.done', values: {} };
    }
    const known = ['cancelled', 'superseded', 'skipped', 'cleared', 'deleted', 'stopped'];
    return known.includes(reason ?? '')
        ? { key: `ended.${reason}`, values: {} }
        : { key: 'ended.other', values: { reason: reason ?? '' } };
}
