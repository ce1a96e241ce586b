/**
 * What waits for the instant at which it is to be shown, bounded in count and bytes.
 *
 * It holds things in the order in which they came. Of several that are due the newest wins, and a
 * newer one overtakes every older one that would be due no earlier: nothing is shown after a newer
 * one was. Whatever is lost that way is handed back to whoever holds bitmaps and acknowledgements.
 * It knows neither frames nor clocks: instants are milliseconds of the caller's clock.
 */

/**
 * @template Thing
 * @typedef {object} Entry
 * @property {Thing} thing
 * @property {number} order Of arrival: the higher, the newer.
 * @property {number} dueMs When it is to be shown; -Infinity: at once.
 * @property {number} bytes What it occupies.
 */

// Five seconds, the longest delay that a canvas can have, at sixty frames a second.
const MAX_COUNT = 300;

// Of one canvas; a wall holds up to sixteen.
const MAX_BYTES = 64 * 2 ** 20;

// The server takes instants up to 10 s ahead: beyond that and some doubt about the clocks, one of them is wrong, and
// a picture is better than none.
const MAX_AHEAD_MS = 15_000;

/**
 * Give when a frame is to be shown, on this browser's clock.
 *
 * @param {number | null | undefined} presentAtMs On the server's clock; absent: at once.
 * @param {number | null} offsetMs What to add to this browser's clock to get the server's; null: not known yet.
 * @param {number} nowMs This browser's clock.
 * @returns {number} -Infinity: at once.
 */
export function dueMsOf(presentAtMs, offsetMs, nowMs) {
    if (presentAtMs === null || presentAtMs === undefined || offsetMs === null) {
        return -Infinity;
    }
    const dueMs = presentAtMs - offsetMs;
    return dueMs <= nowMs || dueMs > nowMs + MAX_AHEAD_MS ? -Infinity : dueMs;
}

/** @template Thing */
export class Schedule {
    /** @type {Entry<Thing>[]} In the order of arrival, and therefore of their instants. */
    #entries = [];
    #bytes = 0;
    #maxCount;
    #maxBytes;

    /**
     * @param {number} [maxCount]
     * @param {number} [maxBytes]
     */
    constructor(maxCount = MAX_COUNT, maxBytes = MAX_BYTES) {
        this.#maxCount = maxCount;
        this.#maxBytes = maxBytes;
    }

    get count() {
        return this.#entries.length;
    }

    /** When the first one is due; null where nothing waits. */
    get firstDueMs() {
        return this.#entries.length > 0 ? this.#entries[0].dueMs : null;
    }

    /**
     * Hold something until its instant. The newest of all is always kept, whatever it occupies.
     *
     * @param {Entry<Thing>} entry
     * @returns {Thing[]} What it overtakes, what overtakes it, and what there is no room for.
     */
    add(entry) {
        const index = this.#entries.filter(({ order }) => order < entry.order).length;
        if (index < this.#entries.length && this.#entries[index].dueMs <= entry.dueMs) {
            return [entry.thing];
        }
        const firstOvertaken = this.#entries.findIndex(({ dueMs }, at) => at < index && dueMs >= entry.dueMs);
        const from = firstOvertaken < 0 ? index : firstOvertaken;
        const lost = this.#entries.splice(from, index - from, entry);
        this.#bytes += entry.bytes;
        this.#discount(lost);
        return [...lost.map(({ thing }) => thing), ...this.#makeRoom()];
    }

    /**
     * Take the first that is due by a horizon, unless a newer one is due already.
     *
     * @param {number} nowMs
     * @param {number} [horizonMs] Not before `nowMs`.
     * @returns {{ thing: Thing | null, overtaken: Thing[] }}
     */
    take(nowMs, horizonMs = nowMs) {
        const due = this.#entries.filter(({ dueMs }) => dueMs <= nowMs).length;
        const overtaken = this.#entries.splice(0, Math.max(0, due - 1));
        const isReady = this.#entries.length > 0 && this.#entries[0].dueMs <= horizonMs;
        const taken = isReady ? this.#entries.splice(0, 1) : [];
        this.#discount([...overtaken, ...taken]);
        return { thing: taken[0]?.thing ?? null, overtaken: overtaken.map(({ thing }) => thing) };
    }

    /**
     * Take everything away.
     *
     * @returns {Thing[]} In the order of arrival.
     */
    clear() {
        this.#bytes = 0;
        return this.#entries.splice(0).map(({ thing }) => thing);
    }

    /**
     * Thin out evenly: the one whose absence leaves the smallest gap. Taking the oldest each time would,
     * where more comes than there is room for, take everything before it is due.
     */
    #makeRoom() {
        const lost = [];
        while (this.#entries.length > 1 && this.#isFull()) {
            let index = 0;
            let smallestMs = Infinity;
            for (let at = 1; at < this.#entries.length - 1; at += 1) {
                const gapMs = this.#entries[at + 1].dueMs - this.#entries[at - 1].dueMs;
                if (gapMs < smallestMs) {
                    smallestMs = gapMs;
                    index = at;
                }
            }
            lost.push(...this.#entries.splice(index, 1));
            this.#discount(lost.slice(-1));
        }
        return lost.map(({ thing }) => thing);
    }

    #isFull() {
        return this.#entries.length > this.#maxCount || this.#bytes > this.#maxBytes;
    }

    /** @param {Entry<Thing>[]} lost */
    #discount(lost) {
        lost.forEach(({ bytes }) => {
            this.#bytes -= bytes;
        });
    }
}
