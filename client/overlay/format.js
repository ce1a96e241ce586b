/** Figures as a person reads them: pure, and short enough for a small tile. */

/** @typedef {import('../screen/figures.js').Figures} Figures */

// In the place of what is not known.
export const UNKNOWN = '–';

const KILO = 1000;
const UNITS = ['B', 'kB', 'MB', 'GB'];

/**
 * @typedef {object} Segment One stage's part of the age.
 * @property {string} name
 * @property {number} share Of the whole, 0 to 1.
 * @property {string} text
 */

/**
 * @typedef {object} ServerFigures What the server tells of this connection; null: it does not.
 * @property {number | null} fps That the canvas is to be painted at; null, too, where nobody paints it here.
 * @property {number | null} link Bytes a second that the server measured of the link.
 * @property {Record<string, number> | null} drops By reason.
 */

/**
 * A number with as many digits as can be read while it changes.
 *
 * @param {number} value
 */
export function short(value) {
    return value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : value.toFixed(0);
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
    if (ms === null || ms === undefined) {
        return UNKNOWN;
    }
    return ms < 9999.5 ? `${short(ms)} ms` : `${short(ms / 1000)} s`;
}

/** @param {number | null | undefined} bytes A second. */
export function rate(bytes) {
    if (bytes === null || bytes === undefined) {
        return UNKNOWN;
    }
    let value = bytes;
    let unit = 0;
    while (value >= KILO - 0.5 && unit < UNITS.length - 1) {
        value /= KILO;
        unit += 1;
    }
    return `${unit === 0 ? value.toFixed(0) : short(value)} ${UNITS[unit]}/s`;
}

/** @param {Figures} figures */
export function picture({ tier, size }) {
    const parts = [tier, size === null ? null : `${size.width} × ${size.height}`];
    return parts.filter(Boolean).join(' · ') || UNKNOWN;
}

/**
 * Lost frames by reason: those reasons that there are.
 *
 * @param {Record<string, number> | null} counts
 */
export function drops(counts) {
    if (counts === null) {
        return UNKNOWN;
    }
    const told = Object.entries(counts).filter(([, count]) => count > 0);
    return told.map(([reason, count]) => `${reason} ${count}`).join(' · ') || 'none';
}

/**
 * The age's stages, each with its part of the whole.
 *
 * @param {Figures} figures
 * @returns {Segment[]} Empty while no age is known.
 */
export function segments({ stages_ms }) {
    const stages = Object.entries(stages_ms);
    const whole = stages.reduce((sum, [, ms]) => sum + ms, 0);
    return stages.map(([name, ms]) => ({ name, share: whole > 0 ? ms / whole : 0, text: short(ms) }));
}

/**
 * How many frames there are, and how many there are to be.
 *
 * @param {Figures} figures
 * @param {ServerFigures} server
 */
export function pace({ fps }, server) {
    return server.fps === null ? `${short(fps)} / s` : `${short(fps)} of ${short(server.fps)} / s`;
}

/**
 * The rows of a panel, in order.
 *
 * @param {Figures} figures
 * @param {ServerFigures} server
 * @returns {Record<string, string>} What is said, by what it is about.
 */
export function rows(figures, server) {
    const { rtt_ms, offset_error_ms, bytes_per_s } = figures;
    const clock = offset_error_ms === null ? '' : ` · clock ± ${duration(offset_error_ms)}`;
    const link = server.link === null ? '' : ` · link ${rate(server.link)}`;
    return {
        'picture': picture(figures),
        'round trip': `${duration(rtt_ms)}${clock}`,
        'received': `${rate(bytes_per_s)}${link}`,
        'lost here': drops(figures.drops),
        'lost by server': drops(ownDrops(server.drops)),
    };
}

/**
 * What the server itself lost: it counts as skipped what this browser has told it to have skipped.
 *
 * @param {ServerFigures['drops']} counts
 */
function ownDrops(counts) {
    return counts && Object.fromEntries(Object.entries(counts).filter(([reason]) => reason !== 'skipped'));
}

/**
 * What `GET /state?canvas=…` says of one canvas and one of its connections.
 *
 * @param {any} state
 * @param {string} slug
 * @param {number | null} number The connection's; null where the server did not tell it.
 * @returns {ServerFigures}
 */
export function serverFigures(state, slug, number) {
    const canvas = state?.canvases?.[slug];
    const subscribers = Array.isArray(canvas?.subscribers) ? canvas.subscribers : [];
    const row = subscribers.find((/** @type {any} */ one) => number !== null && one?.number === number);
    return { fps: wantedFps(canvas), link: row?.goodput_bytes_s ?? null, drops: row?.drops ?? null };
}

/**
 * What is wanted is wanted of a job that runs: pictures that are sent from elsewhere come as they come.
 *
 * @param {any} canvas
 */
function wantedFps(canvas) {
    const isPainted = typeof canvas?.queue?.running === 'string' && (canvas.ingest ?? null) === null;
    return isPainted ? canvas.fps ?? null : null;
}
