/** Work that waits for the next animation frame: a hundred events become one update of the page. */

export class Batch {
    #run;
    #requestFrame;
    #isWaiting = false;

    /**
     * @param {() => void} run
     * @param {(callback: () => void) => void} requestFrame
     */
    constructor(run, requestFrame) {
        this.#run = run;
        this.#requestFrame = requestFrame;
    }

    /** Run once before the next paint, however often this is called until then. */
    request = () => {
        if (!this.#isWaiting) {
            this.#isWaiting = true;
            this.#requestFrame(() => {
                this.#isWaiting = false;
                this.#run();
            });
        }
    };
}
