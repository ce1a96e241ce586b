/** The jobs that wait for a canvas, each with a way to take it out. */

import { element, setText } from '../dom.js';
import { KeyedList } from '../keyed.js';

/** @typedef {import('../store.js').JobRecord} JobRecord */

// The queue of a stream with many donors is long, and nobody reads more of it here.
const SHOWN = 20;

export class QueueList {
    #texts;
    #summary;
    #clear;
    #more;
    #list;

    /**
     * @param {import('../texts.js').Texts} texts
     * @param {{ onClear: () => void, onCancel: (job: JobRecord) => void }} actions
     */
    constructor(texts, { onClear, onCancel }) {
        this.#texts = texts;
        this.#summary = element('summary', {});
        const items = element('ol', { className: 'queue-jobs' });
        this.#more = element('p', { className: 'queue-more', hidden: true });
        this.#clear = element('button', { className: 'button button-small', type: 'button' });
        this.#clear.addEventListener('click', onClear);
        this.root = element('details', { className: 'queue' }, this.#summary, items, this.#more, this.#clear);
        this.#list = new KeyedList(items, ({ id }) => id, (job) => makeRow(texts, job, onCancel));
    }

    /** @param {JobRecord[]} jobs In the order in which they come. */
    show(jobs) {
        const isEmpty = jobs.length === 0;
        this.root.classList.toggle('is-empty', isEmpty);
        if (isEmpty && this.root.contains(document.activeElement)) {
            // What had the focus is about to vanish.
            this.#summary.focus();
        }
        this.#texts.bind(this.#summary, 'canvases.queue', { values: { count: jobs.length } });
        this.#texts.bind(this.#clear, 'canvases.clear', { values: { count: jobs.length } });
        this.#clear.hidden = isEmpty;
        this.#list.show(jobs.slice(0, SHOWN));
        this.#more.hidden = jobs.length <= SHOWN;
        this.#texts.bind(this.#more, 'canvases.queue-more', { values: { count: jobs.length - SHOWN } });
    }
}

/**
 * What a job without words is called.
 *
 * @param {import('../texts.js').Texts} texts
 * @param {JobRecord} job
 */
function kindOf(texts, { kind }) {
    return texts.t(`canvases.kind.${kind}`);
}

/**
 * @param {import('../texts.js').Texts} texts
 * @param {JobRecord} first
 * @param {(job: JobRecord) => void} onCancel
 */
function makeRow(texts, first, onCancel) {
    let job = first;
    const words = element('span', { className: 'queue-words' });
    const who = element('span', { className: 'queue-who' });
    const cancel = element('button', { className: 'button button-small', type: 'button' });
    cancel.addEventListener('click', () => onCancel(job));
    texts.bind(cancel, 'canvases.cancel');
    const root = element('li', {}, words, who, cancel);
    return {
        root,
        update: (/** @type {JobRecord} */ newer) => {
            job = newer;
            setText(words, job.prompt || job.message || kindOf(texts, job));
            setText(who, job.author ?? '');
            texts.bind(cancel, 'canvases.cancel-of', {
                attribute: 'aria-label',
                values: { name: (job.prompt || kindOf(texts, job)).slice(0, 60) },
            });
        },
    };
}
