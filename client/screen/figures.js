/**
 * How a screen is doing, over the last seconds: numbers only.
 *
 * It is told of every frame twice, when it comes and when it is acknowledged, and works out the rest when
 * somebody asks. Ages are told on the server's clock, whose offset is known within half a round trip: a
 * wrong one moves an age as a whole, and what is impossible (a frame that comes before it was encoded) is
 * moved to where it is possible. The durations in this browser are exact nevertheless. A picture that rested
 * before this screen was there, or was looked at, has no age here: that is nobody's delay.
 */

/**
 * @typedef {object} Figures
 * @property {number} fps Frames presented in the last second.
 * @property {{ p50: number, p95: number } | null} age_ms From finished to presented; null while no clock is known.
 * @property {Record<string, number>} stages_ms Where the median age goes, in the order of the way: publish, encode,
 *     network (with what the frame waits for the link), decode, present. Their sum is that age; empty without one.
 * @property {string | null} tier
 * @property {{ width: number, height: number } | null} size Of the last frame as it came, pixels.
 * @property {number | null} rtt_ms
 * @property {number | null} offset_error_ms Half of the shortest round trip: the ages may be wrong by so much.
 * @property {number} bytes_per_s
 * @property {Record<string, number>} drops By reason, since the page was loaded: skipped, corrupt, missed (never
 *     came), hidden (while nobody could see it).
 */

/** @typedef {import('../stream/wire.js').Frame} Frame */

/**
 * @typedef {object} Shown
 * @property {number} atMs When it was presented, on this browser's clock.
 * @property {number[]} stagesMs As in `STAGES`.
 */

export const STAGES = ['publish', 'encode', 'network', 'decode', 'present'];

// A trailing window: the mean of pauses between frames reads too high after a burst.
const SECOND_MS = 1000;

// What ages are taken of: so many frames at most, none older than this.
const MAX_SHOWN = 128;
const SHOWN_MS = 30_000;

// Within a second; frames come at 60 FPS at most, and once more in a better tier.
const MAX_A_SECOND = 256;

export class FiguresKeeper {
    /** @type {string | null} */
    #epoch = null;
    /** @type {number | null} Of the last frame that came, within its epoch. */
    #sequence = null;
    /** @type {number | null} Of the last frame that was presented. */
    #presented = null;
    /** @type {string | null} */
    #tier = null;
    /** @type {import('../stream/wire.js').Size | null} */
    #size = null;
    /** When the connection began, on the server's clock. */
    #begunMs = -Infinity;
    /** @type {number | null} The last frame that had rested before it was sent here: its age is nobody's delay. */
    #rested = null;
    #isVisible = true;
    /** Whether frames may be missing because nobody could see them. */
    #wasHidden = false;
    /** @type {Shown[]} */
    #shown = [];
    /** @type {number[]} When frames were presented, within the last second. */
    #presentedMs = [];
    /** @type {{ atMs: number, bytes: number }[]} What has come within the last second. */
    #received = [];
    #drops = { skipped: 0, corrupt: 0, missed: 0, hidden: 0 };

    /**
     * Another connection: the same canvas goes on, or another incarnation of it begins.
     *
     * @param {import('../stream/wire.js').Hello} hello
     */
    greet({ epoch, server_time_ms }) {
        this.#begunMs = server_time_ms ?? -Infinity;
        if (epoch !== this.#epoch) {
            this.#epoch = epoch;
            this.#sequence = null;
            this.#presented = null;
        }
    }

    /**
     * Note a frame that has come.
     *
     * @param {Frame} frame
     * @param {number} nowMs
     */
    received(frame, nowMs) {
        const { sequence, tier, width, height, image } = frame;
        if (this.#wasHidden || publishedMsOf(frame) < this.#begunMs) {
            this.#rested = sequence;
        }
        const missed = this.#sequence === null ? 0 : Math.max(0, sequence - this.#sequence - 1);
        this.#drops[this.#wasHidden ? 'hidden' : 'missed'] += missed;
        this.#wasHidden = !this.#isVisible;
        this.#sequence = Math.max(sequence, this.#sequence ?? 0);
        this.#tier = tier ?? null;
        this.#size = { width, height };
        this.#received = [...this.#received, { atMs: nowMs, bytes: image.byteLength }]
            .filter(({ atMs }) => atMs > nowMs - SECOND_MS)
            .slice(-MAX_A_SECOND);
    }

    /**
     * Note what became of a frame.
     *
     * @param {Frame} frame
     * @param {import('../stream/connection.js').Timings} timings
     * @param {number | null} offsetMs What to add to this browser's clock to get the server's; null: not known.
     */
    acknowledged(frame, timings, offsetMs) {
        this.#drops.skipped += timings.skipped;
        const { presented_ms } = timings;
        if (presented_ms === undefined) {
            this.#drops.hidden += this.#isVisible ? 0 : 1;
            return;
        }
        if (frame.sequence === this.#presented) {
            // Once more in a better tier: no other picture, and how long it rested is nobody's delay.
            return;
        }
        this.#presented = frame.sequence;
        this.#presentedMs = [...this.#presentedMs, presented_ms].slice(-MAX_A_SECOND);
        if (offsetMs !== null && frame.sequence !== this.#rested) {
            const stagesMs = stagesOf(frame, { ...timings, presented_ms }, offsetMs);
            this.#shown = [...this.#shown, { atMs: presented_ms, stagesMs }].slice(-MAX_SHOWN);
        }
    }

    /** Note a frame that could not be decoded. */
    corrupt() {
        this.#drops.corrupt += 1;
    }

    /** @param {boolean} isVisible */
    setVisible(isVisible) {
        this.#isVisible = isVisible;
        this.#wasHidden ||= !isVisible;
    }

    /**
     * Tell how it is going.
     *
     * @param {number} nowMs
     * @param {import('../stream/clock.js').Sample | null} clock The best sample of the server's clock.
     * @returns {Figures}
     */
    read(nowMs, clock) {
        const isRecent = (/** @type {number} */ atMs) => atMs > nowMs - SECOND_MS;
        const received = this.#received.filter(({ atMs }) => isRecent(atMs));
        const shown = this.#shown.filter(({ atMs }) => atMs > nowMs - SHOWN_MS);
        const ages = shown.map(({ stagesMs }) => sum(stagesMs));
        const age_ms = ages.length > 0 ? { p50: share(ages, 0.5), p95: share(ages, 0.95) } : null;
        return {
            fps: this.#presentedMs.filter(isRecent).length,
            age_ms,
            stages_ms: age_ms === null ? {} : split(age_ms.p50, shown),
            tier: this.#tier,
            size: this.#size,
            rtt_ms: clock?.rtt_ms ?? null,
            offset_error_ms: clock === null ? null : clock.rtt_ms / 2,
            bytes_per_s: sum(received.map(({ bytes }) => bytes)),
            drops: { ...this.#drops },
        };
    }
}

/** @param {Frame} frame */
function publishedMsOf({ timestamp_ms, published_ms, stages }) {
    return Math.max(timestamp_ms, stages?.published ?? published_ms ?? timestamp_ms);
}

/**
 * How long a frame took from stage to stage.
 *
 * @param {Frame} frame
 * @param {import('../stream/connection.js').Timings & { presented_ms: number }} timings
 * @param {number} offsetMs
 */
function stagesOf(frame, { received_ms, decoded_ms, presented_ms }, offsetMs) {
    const publishedMs = publishedMsOf(frame);
    // A rendition may be older than the frame that it is sent for.
    const encodedMs = Math.max(publishedMs, frame.stages?.encoded ?? publishedMs);
    const decodedMs = decoded_ms ?? received_ms;
    return [
        publishedMs - frame.timestamp_ms,
        encodedMs - publishedMs,
        Math.max(0, received_ms + offsetMs - encodedMs),
        decodedMs - received_ms,
        presented_ms - decodedMs,
    ];
}

/**
 * Share an age out over the stages as their medians are to each other: medians do not add up by themselves.
 *
 * @param {number} ageMs
 * @param {Shown[]} shown
 * @returns {Record<string, number>}
 */
function split(ageMs, shown) {
    const medians = STAGES.map((_, stage) => share(shown.map(({ stagesMs }) => stagesMs[stage]), 0.5));
    const whole = sum(medians);
    // All of them nothing, but not their sum: few frames, each held up elsewhere.
    const parts = whole > 0 ? medians : STAGES.map((_, stage) => sum(shown.map(({ stagesMs }) => stagesMs[stage])));
    const total = sum(parts);
    return Object.fromEntries(STAGES.map((name, stage) => [name, total > 0 ? (ageMs * parts[stage]) / total : 0]));
}

/** @param {number[]} values */
function sum(values) {
    return values.reduce((total, value) => total + value, 0);
}

/**
 * The value that so much of the values does not exceed.
 *
 * @param {number[]} values At least one.
 * @param {number} part
 */
function share(values, part) {
    const sorted = [...values].sort((one, other) => one - other);
    return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}
