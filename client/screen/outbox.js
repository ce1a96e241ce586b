/**
 * What a worker's screens have to tell the page, in as few messages as can be: the page has better to
 * do than to take a dozen of them for each frame. Everything arrives in the order in which it happened.
 */

/** @typedef {import('./messages.js').News} News */

// That a frame was drawn travels with the news that it was presented; the others are looked at, not waited for.
const QUIET = ['onDrawn', 'onClock', 'onFigures'];

// What is quiet and alone: too short to be seen in a label, long for a machine.
const QUIET_MS = 100;

export class Outbox {
    #environment;
    #post;
    /** @type {News[]} */
    #news = [];
    /** @type {import('../paint/decoder.js').BitmapCounts | null} */
    #bitmaps = null;
    #isPrompt = false;
    #isWaiting = false;
    /** @type {any} */
    #timer = null;

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {(news: News[], bitmaps: import('../paint/decoder.js').BitmapCounts | null) => void} post
     */
    constructor(environment, post) {
        this.#environment = environment;
        this.#post = post;
    }

    /** @param {News} news */
    tell(news) {
        this.#news.push(news);
        this.#schedule(!QUIET.includes(news.name));
    }

    /** @param {Readonly<import('../paint/decoder.js').BitmapCounts>} bitmaps The latest counts are told. */
    count(bitmaps) {
        this.#bitmaps = { ...bitmaps };
        this.#schedule(false);
    }

    /** @param {boolean} isPrompt In the next task: what else happens in this one goes along. */
    #schedule(isPrompt) {
        if (this.#isWaiting && (this.#isPrompt || !isPrompt)) {
            return;
        }
        this.#environment.clearTimer(this.#timer);
        this.#isWaiting = true;
        this.#isPrompt = isPrompt;
        this.#timer = this.#environment.setTimer(() => this.#flush(), isPrompt ? 0 : QUIET_MS);
    }

    #flush() {
        this.#isWaiting = false;
        const news = this.#news;
        const bitmaps = this.#bitmaps;
        this.#news = [];
        this.#bitmaps = null;
        this.#post(news, bitmaps);
    }
}
