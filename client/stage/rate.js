/** How many pictures a second are shown: measured over the last ones, and 0 once they stop. */

// At one picture in ten seconds the figure still means something; of older ones nobody remembers.
const WINDOW_MS = 3000;
const FORGOTTEN_MS = 10_000;

// So many intervals without a picture, and at least so long: it has stopped.
const PATIENCE_INTERVALS = 2.5;
const PATIENCE_MS = 1500;

export class FrameRate {
    /** @type {number[]} When pictures were shown, oldest first. */
    #shown = [];

    /** @param {number} nowMs */
    note(nowMs) {
        this.#shown.push(nowMs);
        // Two are always kept: slow pictures have a rate, too.
        while (this.#shown.length > 2 && nowMs - this.#shown[0] > WINDOW_MS) {
            this.#shown.shift();
        }
    }

    /**
     * @param {number} nowMs
     * @returns {number} Pictures a second.
     */
    at(nowMs) {
        const count = this.#shown.length;
        const spanMs = this.#shown[count - 1] - this.#shown[0];
        if (count < 2 || !(spanMs > 0)) {
            return 0;
        }
        const intervalMs = spanMs / (count - 1);
        const silentMs = nowMs - this.#shown[count - 1];
        const patienceMs = Math.max(PATIENCE_MS, PATIENCE_INTERVALS * intervalMs);
        return silentMs > patienceMs || intervalMs > FORGOTTEN_MS ? 0 : 1000 / intervalMs;
    }
}

/**
 * @param {number} fps
 * @param {string} unit
 * @returns {string} As wide as its neighbours: `4.0 FPS`, `29 FPS`; empty where no pictures come.
 */
export function rateText(fps, unit) {
    return fps > 0 ? `${fps < 9.95 ? fps.toFixed(1) : Math.round(fps)} ${unit}` : '';
}

// Figures that change more often are not read.
const TOLD_EVERY_MS = 1000;

/** Tells the rate once a second while pictures come, once more when they have stopped, and then no more. */
export class RateTold {
    #rate = new FrameRate();
    #environment;
    #tell;
    #isTicking = false;

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {(fps: number) => void} tell Called at once with 0.
     */
    constructor(environment, tell) {
        this.#environment = environment;
        this.#tell = tell;
        tell(0);
    }

    /** A picture is shown. */
    note() {
        this.#rate.note(this.#environment.nowMs());
        if (!this.#isTicking) {
            this.#isTicking = true;
            this.#wait();
        }
    }

    #wait() {
        this.#environment.setTimer(() => {
            const fps = this.#rate.at(this.#environment.nowMs());
            this.#tell(fps);
            this.#isTicking = fps > 0;
            if (this.#isTicking) {
                this.#wait();
            }
        }, TOLD_EVERY_MS);
    }
}
