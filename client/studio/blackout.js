/** One key for the whole show: every canvas dark, and all of them back. It knows no page. */

/** @typedef {{ slug: string, blank?: boolean }} Blankable */

export class Blackout {
    #canvases;
    #setBlank;
    #onFailed;
    /**
     * What is wanted, while it is being done; null: what is there is what is wanted.
     *
     * @type {boolean | null}
     */
    #wanted = null;

    /**
     * @param {() => Blankable[]} canvases Those that are there now.
     * @param {(slug: string, isBlank: boolean) => Promise<unknown>} setBlank
     * @param {(slugs: string[], isBlank: boolean) => void} onFailed Told once for all that could not be changed.
     */
    constructor(canvases, setBlank, onFailed) {
        this.#canvases = canvases;
        this.#setBlank = setBlank;
        this.#onFailed = onFailed;
    }

    /** Whether everything is dark, or will be at once. */
    get isBlank() {
        const canvases = this.#canvases();
        return this.#wanted ?? (canvases.length > 0 && canvases.every((canvas) => canvas.blank === true));
    }

    /** Make everything dark, or show it again where all is dark. Pressed again meanwhile, the last press wins. */
    async toggle() {
        const isRunning = this.#wanted !== null;
        this.#wanted = !this.isBlank;
        if (isRunning) {
            return;
        }
        for (let isDone = false; !isDone;) {
            const isBlank = /** @type {boolean} */ (this.#wanted);
            await this.#apply(isBlank);
            isDone = this.#wanted === isBlank;
        }
        this.#wanted = null;
    }

    /** @param {boolean} isBlank */
    async #apply(isBlank) {
        const slugs = this.#canvases().map((canvas) => canvas.slug);
        const settled = await Promise.allSettled(slugs.map((slug) => this.#setBlank(slug, isBlank)));
        const failed = slugs.filter((_slug, index) => settled[index].status === 'rejected');
        if (failed.length > 0) {
            this.#onFailed(failed, isBlank);
        }
    }
}
