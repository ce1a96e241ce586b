/** One key for the whole show: every canvas dark, and all of them back. It knows no page. */

/** @typedef {{ slug: string, blank?: boolean }} Blankable */

/**
 * @typedef {object} Outcome
 * @property {boolean} isBlank What was wanted.
 * @property {string[]} failed The slugs of those that could not be changed.
 */

/**
 * @typedef {object} Door
 * @property {() => boolean} isLocked Whether this page may only look.
 * @property {() => Promise<boolean>} logIn Asks the reader to log in; whether he did.
 */

/** @type {Door} */
const OPEN = { isLocked: () => false, logIn: () => Promise.resolve(true) };

export class Blackout {
    #canvases;
    #setBlank;
    #door;
    /**
     * What is wanted, while it is being done; null: what is there is what is wanted.
     *
     * @type {boolean | null}
     */
    #wanted = null;

    /**
     * @param {() => Blankable[]} canvases Those that are there now.
     * @param {(slug: string, isBlank: boolean) => Promise<unknown>} setBlank Once it is done, `canvases` tells so.
     * @param {Door} [door]
     */
    constructor(canvases, setBlank, door = OPEN) {
        this.#canvases = canvases;
        this.#setBlank = setBlank;
        this.#door = door;
    }

    /** Whether everything is dark, or will be at once. */
    get isBlank() {
        const canvases = this.#canvases();
        return this.#wanted ?? (canvases.length > 0 && canvases.every((canvas) => canvas.blank === true));
    }

    /**
     * Make everything dark, or show it again where all is dark. Pressed again meanwhile, the last press wins.
     *
     * @returns {Promise<Outcome | null>} Null where there is nothing to tell: no canvas, the reader did not log in,
     *     or the press before tells it.
     */
    async toggle() {
        if (this.#canvases().length === 0) {
            return null;
        }
        // Asked for once, before any canvas is; whoever has it need not wait.
        if (this.#door.isLocked() && !(await this.#door.logIn())) {
            return null;
        }
        const isRunning = this.#wanted !== null;
        this.#wanted = !this.isBlank;
        if (isRunning) {
            return null;
        }
        /** @type {Outcome | null} */
        let outcome = null;
        while (outcome?.isBlank !== this.#wanted) {
            outcome = await this.#apply(this.#wanted);
        }
        this.#wanted = null;
        // The login has run out meanwhile, and was asked for: its dialog has told all there is.
        const isGivenUp = outcome !== null && outcome.failed.length > 0 && this.#door.isLocked();
        return isGivenUp ? null : outcome;
    }

    /**
     * @param {boolean} isBlank
     * @returns {Promise<Outcome>}
     */
    async #apply(isBlank) {
        const slugs = this.#canvases().map((canvas) => canvas.slug);
        const settled = await Promise.allSettled(slugs.map((slug) => this.#setBlank(slug, isBlank)));
        return { isBlank, failed: slugs.filter((_slug, index) => settled[index].status === 'rejected') };
    }
}
