/** Two pictures beside each other, or one over the other with an edge that moves, and what differs between them. */

import { element, find } from '../dom.js';
import { differencesOf, factsOf, keyOf, seedOf } from './details.js';

/** @typedef {import('./details.js').Shown} Shown */

export class Compare {
    #texts;
    #format;
    #onChange;
    /** @type {Shown[]} */
    #chosen = [];
    #dialog = /** @type {HTMLDialogElement} */ (find('#compare-dialog'));
    #slider = /** @type {HTMLInputElement} */ (find('#compare-slider'));

    /**
     * @param {import('../texts.js').Texts} texts
     * @param {() => import('../format.js').Format} format
     * @param {() => void} onChange Another choice was made.
     */
    constructor(texts, format, onChange) {
        this.#texts = texts;
        this.#format = format;
        this.#onChange = onChange;
        find('#compare-close').addEventListener('click', () => this.#dialog.close());
        find('#open-compare').addEventListener('click', () => this.#open());
        this.#dialog.addEventListener('change', (event) => {
            const { name, value } = /** @type {HTMLInputElement} */ (event.target);
            if (name === 'compare-view') {
                this.#show(value);
            }
        });
        this.#slider.addEventListener('input', () => this.#showEdge());
        texts.addEventListener('language', () => this.#fill());
    }

    /** @param {Shown} shown */
    has(shown) {
        return this.#chosen.some((chosen) => keyOf(chosen) === keyOf(shown));
    }

    /**
     * Choose a picture, or leave it again. With the second one the dialog opens; a third takes the place of the first.
     *
     * @param {Shown} shown
     * @returns {boolean} Whether one more is wanted.
     */
    toggle(shown) {
        const isChosen = this.has(shown);
        const others = this.#chosen.filter((chosen) => keyOf(chosen) !== keyOf(shown));
        this.#chosen = isChosen ? others : [...others.slice(-1), shown];
        find('#open-compare').hidden = this.#chosen.length < 2;
        this.#onChange();
        if (!isChosen && this.#chosen.length === 2) {
            this.#open();
        }
        return this.#chosen.length === 1;
    }

    #open() {
        this.#fill();
        this.#show('sides');
        /** @type {HTMLInputElement} */ (find('[name="compare-view"][value="sides"]')).checked = true;
        this.#slider.value = '50';
        this.#showEdge();
        this.#dialog.showModal();
    }

    /** @param {string} view */
    #show(view) {
        find('#compare-view').dataset.view = view;
        find('#compare-range').hidden = view !== 'slider';
        this.#showEdge();
    }

    /** B lies over A, from the edge to the right; the edge goes where the thumb goes. */
    #showEdge() {
        const isOver = find('#compare-view').dataset.view === 'slider';
        const share = Number(this.#slider.value);
        find('#compare-top').style.clipPath = isOver ? `inset(0 0 0 ${share}%)` : '';
        this.#slider.setAttribute('aria-valuetext', `${share} %`);
    }

    #fill() {
        const [a, b] = this.#chosen;
        if (b === undefined) {
            return;
        }
        const t = this.#texts.t.bind(this.#texts);
        this.#hang('#compare-a', a, t('compare.a'));
        this.#hang('#compare-b', b, t('compare.b'));
        const format = this.#format();
        const rows = differencesOf(factsOf(a, t, format), factsOf(b, t, format));
        find('#compare-rows').replaceChildren(...rows.map(({ key, a: one, b: other, differs }) => {
            const label = element('th', { scope: 'row', textContent: t(key) });
            if (differs) {
                label.append(' ', element('span', { className: 'differs', textContent: t('compare.differs') }));
            }
            return element(
                'tr',
                { className: differs ? 'is-different' : '' },
                label,
                element('td', { textContent: one }),
                element('td', { textContent: other }),
            );
        }));
    }

    /**
     * @param {string} selector
     * @param {Shown} shown
     * @param {string} side
     */
    #hang(selector, shown, side) {
        const image = /** @type {HTMLImageElement} */ (find(selector));
        image.src = shown.image.url;
        image.alt = this.#texts.t('compare.picture', {
            side, prompt: shown.job.prompt.slice(0, 80), seed: seedOf(shown),
        });
    }
}
