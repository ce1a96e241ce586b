/** One finished picture on the page, with what is known of it and what can be done with it. */

import { element, setText } from '../dom.js';
import { factsOf, seedOf, summaryOf, warningsOf } from './details.js';

/** @typedef {import('./details.js').Shown} Shown */

/**
 * @typedef {object} CardServices
 * @property {import('../texts.js').Texts} texts
 * @property {() => import('../format.js').Format} format Of the language of now.
 * @property {(shown: Shown) => void} onUse
 * @property {(shown: Shown) => void} onCompare
 * @property {(shown: Shown) => boolean} isCompared Whether it is chosen to be compared.
 */

export class Card {
    #services;
    #shown;
    #image = element('img', { loading: 'lazy', decoding: 'async' });
    #open = element('a', { className: 'result-picture', target: '_blank', rel: 'noopener' }, this.#image);
    #summary = element('p', { className: 'result-summary' });
    #warnings = element('p', { className: 'field-note result-warnings' });
    #compare = button();
    #facts = element('dl', { className: 'facts' });
    #details;

    /**
     * @param {Shown} shown
     * @param {CardServices} services
     */
    constructor(shown, services) {
        this.#services = services;
        this.#shown = shown;
        const { texts } = services;
        const { job, image, index } = shown;
        Object.assign(this.#image, { src: image.url, width: image.width, height: image.height });
        this.#open.href = image.url;
        const use = button();
        const name = `psyche-${seedOf(shown)}-${index}.${image.format === 'jpeg' ? 'jpg' : image.format}`;
        const download = element('a', { className: 'button button-small', href: image.url, download: name });
        const summary = element('summary');
        this.#details = element('details', { className: 'more' }, summary, this.#facts);
        this.root = element(
            'li',
            { className: 'result', dataset: { id: job.id } },
            this.#open,
            element('p', { className: 'result-prompt', textContent: job.prompt, title: job.prompt }),
            this.#summary,
            this.#warnings,
            element('div', { className: 'result-actions' }, use, this.#compare, download),
            this.#details,
        );
        this.#name([[use, 'jobs.use_again'], [this.#compare, 'results.compare'], [download, 'results.download']]);
        texts.bind(summary, 'results.details');
        use.addEventListener('click', () => services.onUse(this.#shown));
        this.#compare.addEventListener('click', () => services.onCompare(this.#shown));
        this.#details.addEventListener('toggle', () => this.showWords());
        this.#image.addEventListener('error', () => this.#showGone(), { once: true });
        this.showWords();
    }

    /** @param {Shown} shown */
    update(shown) {
        this.#compare.setAttribute('aria-pressed', String(this.#services.isCompared(shown)));
        if (shown.job.warnings.length !== this.#shown.job.warnings.length) {
            this.#shown = shown;
            this.showWords();
        }
        this.#shown = shown;
    }

    /** Say everything in the language of now; the details only where they are open. */
    showWords() {
        const { texts, format } = this.#services;
        const t = texts.t.bind(texts);
        setText(this.#summary, summaryOf(this.#shown, t));
        setText(this.#warnings, warningsOf(this.#shown).join(' · '));
        if (this.#details.open) {
            this.#facts.replaceChildren(...factsOf(this.#shown, t, format()).flatMap(({ key, value }) => [
                element('dt', { textContent: t(key) }),
                element('dd', { textContent: value }),
            ]));
        }
    }

    /** @param {[HTMLElement, string][]} named What can be done, and its key: each says with which picture. */
    #name(named) {
        const { texts } = this.#services;
        const prompt = this.#shown.job.prompt.slice(0, 80);
        const values = { prompt, seed: seedOf(this.#shown) };
        for (const [control, key] of named) {
            texts.bind(control, key);
            texts.bind(control, `${key}_what`, { attribute: 'aria-label', values });
        }
        texts.bind(this.#open, 'results.open_what', { attribute: 'aria-label', values });
        texts.bind(this.#image, 'results.picture', { attribute: 'alt', values });
    }

    /** The server keeps results for a while only; what is known of them stays. */
    #showGone() {
        const gone = element('p', { className: 'result-gone' });
        this.#services.texts.bind(gone, 'results.gone');
        this.#open.replaceWith(gone);
    }
}

function button() {
    return element('button', { type: 'button', className: 'button button-small' });
}
