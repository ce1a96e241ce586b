/** The finished pictures on the page, newest first: as many as are asked for. */

import { find } from '../dom.js';
import { Format } from '../format.js';
import { Batch } from '../frames.js';
import { KeyedList } from '../keyed.js';
import { MOST_JOBS } from '../store.js';
import { Card } from './card.js';
import { Compare } from './compare.js';
import { keyOf, resultsOf } from './details.js';

/** @typedef {import('./details.js').Shown} Shown */

/**
 * @typedef {object} ResultsServices
 * @property {import('../store.js').Store} store
 * @property {import('../texts.js').Texts} texts
 * @property {import('../../stream/environment.js').Environment} environment
 * @property {(message: string, kind?: import('../toasts.js').ToastKind) => void} notify
 * @property {(shown: Shown) => void} onUse The reader wants to use a picture's parameters again.
 * @property {() => Promise<void>} more Asks for older jobs than are known.
 */

const PAGE = 100;

export class ResultsPanel {
    #services;
    #format;
    #compare;
    #list;
    #limit = PAGE;

    /** @param {ResultsServices} services */
    constructor(services) {
        this.#services = services;
        const { store, texts, environment } = services;
        const batch = new Batch(() => this.#show(), environment.requestFrame);
        this.#format = new Format(texts.language);
        this.#compare = new Compare(texts, () => this.#format, batch.request);
        const card = {
            texts,
            format: () => this.#format,
            onUse: services.onUse,
            onCompare: (/** @type {Shown} */ shown) => this.#choose(shown),
            isCompared: (/** @type {Shown} */ shown) => this.#compare.has(shown),
        };
        this.#list = new KeyedList(find('#result-list'), keyOf, (shown) => new Card(shown, card));
        store.addEventListener('jobs', batch.request);
        texts.addEventListener('language', () => {
            this.#format = new Format(texts.language);
            for (const row of this.#list.rows()) {
                /** @type {Card} */ (row).showWords();
            }
        });
        find('#more-results').addEventListener('click', () => {
            this.#limit += PAGE;
            batch.request();
            void services.more();
        });
    }

    #show() {
        const { store } = this.#services;
        const results = resultsOf(store.newestJobs());
        this.#list.show(results.slice(0, this.#limit));
        find('#results-empty').hidden = results.length > 0;
        const isAsked = store.jobs.size >= store.jobLimit && store.jobLimit < MOST_JOBS;
        find('#more-results').hidden = results.length <= this.#limit && !isAsked;
    }

    /** @param {Shown} shown */
    #choose(shown) {
        const { notify, texts } = this.#services;
        if (this.#compare.toggle(shown)) {
            notify(texts.t('compare.one_more'));
        }
    }
}
