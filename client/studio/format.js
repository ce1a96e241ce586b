/** Numbers as readers of a language write them. Pure. */

const SECOND_MS = 1000;

/** Its formats are made once: to make one takes longer than to write a hundred numbers. */
export class Format {
    #whole;
    #tenths;
    #milliseconds;
    #seconds;
    #times;

    /** @param {string} language */
    constructor(language) {
        this.#whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
        this.#tenths = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
        this.#milliseconds = withUnit(language, 'millisecond', 0);
        this.#seconds = withUnit(language, 'second', 1);
        this.#times = new Intl.DateTimeFormat(language, { timeStyle: 'medium' });
    }

    /** @param {number} value */
    whole(value) {
        return this.#whole.format(value);
    }

    /** @param {number} value */
    tenths(value) {
        return this.#tenths.format(value);
    }

    /**
     * A time that was measured, with its unit.
     *
     * @param {number} ms
     */
    duration(ms) {
        return ms < SECOND_MS ? this.#milliseconds.format(ms) : this.#seconds.format(ms / SECOND_MS);
    }

    /**
     * An instant, as short as it is clear today.
     *
     * @param {number} unixMs
     */
    time(unixMs) {
        return this.#times.format(unixMs);
    }
}

/**
 * A time that goes by, as a clock shows it: `0:07`, `12:30`, `1:02:03`.
 *
 * @param {number} ms
 */
export function clock(ms) {
    const seconds = Math.max(0, Math.floor(ms / SECOND_MS));
    const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
    const minutes = Math.floor(seconds / 60);
    return minutes < 60
        ? `${minutes}:${two(seconds % 60)}`
        : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/**
 * @param {string} language
 * @param {string} unit
 * @param {number} maximumFractionDigits
 */
function withUnit(language, unit, maximumFractionDigits) {
    return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits });
}
