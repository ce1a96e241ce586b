/** What a card says of its canvas, from the records that the page has. Pure. */

/** @typedef {import('../store.js').StudioCanvas} StudioCanvas */
/** @typedef {import('../store.js').JobRecord} JobRecord */

/**
 * @typedef {object} CardFigures
 * @property {number} fpsIn Pictures a second that are painted or pushed.
 * @property {number} fpsOut Of them, how many a screen gets.
 * @property {number | null} ageMs How old pictures are on the screens, the middle of them; null while nobody tells.
 * @property {number} screens
 * @property {JobRecord | null} running
 * @property {JobRecord[]} queue In the order in which they come.
 * @property {string} state `blank`, `paused`, `idle`, `painting` or `unavailable`.
 */

/**
 * @param {StudioCanvas} canvas
 * @param {Record<string, any> | undefined} traffic Its part of `GET /state`.
 * @param {Iterable<JobRecord>} jobs All that are known.
 * @returns {CardFigures}
 */
export function figuresOf(canvas, traffic, jobs) {
    const queue = [];
    let running = null;
    for (const job of jobs) {
        if (job.canvas === canvas.slug && job.state === 'queued') {
            queue.push(job);
        } else if (job.canvas === canvas.slug && job.state === 'running') {
            running = job;
        }
    }
    queue.sort((one, other) => (one.position ?? Infinity) - (other.position ?? Infinity));
    const screens = traffic?.subscribers;
    return {
        fpsIn: traffic?.fps_in ?? 0,
        fpsOut: traffic?.fps_out ?? 0,
        ageMs: traffic?.screens?.age?.p50 ?? null,
        screens: typeof screens === 'number' ? screens : traffic?.subscribers_connected ?? canvas.subscribers ?? 0,
        running,
        queue,
        state: stateOf(canvas),
    };
}

/**
 * How many jobs wait for a canvas.
 *
 * @param {string} slug
 * @param {Iterable<JobRecord>} jobs All that are known.
 */
export function waitingOn(slug, jobs) {
    let count = 0;
    for (const { canvas, state } of jobs) {
        count += canvas === slug && state === 'queued' ? 1 : 0;
    }
    return count;
}

/** @param {StudioCanvas} canvas */
function stateOf({ blank, paused, state }) {
    // The switches are told at once, the state with the next message to the screens.
    if (blank) {
        return 'blank';
    }
    return paused ? 'paused' : state ?? 'idle';
}

/**
 * How far a job is, from 0 to 1; null where nobody can tell: a live picture goes on.
 *
 * @param {JobRecord | null} job
 */
export function progressOf(job) {
    return job !== null && job.total_steps > 0 ? Math.min(1, job.step / job.total_steps) : null;
}
