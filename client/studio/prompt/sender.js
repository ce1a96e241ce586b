/** Sends a prompt once, however often and however badly the line is tried. It knows no page. */

import { ApiError } from '../api.js';

/** @typedef {import('../jobs/book.js').JobRecord} JobRecord */

export class Sender {
    #api;
    #newKey;
    /**
     * What may have arrived, though no answer came back.
     *
     * @type {{ text: string, key: string } | null}
     */
    #unanswered = null;
    isBusy = false;

    /**
     * @param {Pick<import('../api.js').Api, 'post'>} api
     * @param {() => string} newKey
     */
    constructor(api, newKey) {
        this.#api = api;
        this.#newKey = newKey;
    }

    /**
     * Start the jobs of a body. While one is being sent another one is refused: a double click is one click.
     *
     * @param {Record<string, unknown>} body
     * @returns {Promise<JobRecord[] | null>} Null where it was refused.
     */
    async send(body) {
        if (this.isBusy) {
            return null;
        }
        this.isBusy = true;
        const text = JSON.stringify(body);
        // The same again after no answer is the same request: it may have arrived the first time.
        const key = this.#unanswered?.text === text ? this.#unanswered.key : this.#newKey();
        this.#unanswered = null;
        try {
            const answer = await this.#api.post('/jobs', body, { key });
            return answer.jobs ?? [answer.job];
        } catch (error) {
            if (error instanceof ApiError && error.isPassing) {
                this.#unanswered = { text, key };
            }
            throw error;
        } finally {
            this.isBusy = false;
        }
    }
}
