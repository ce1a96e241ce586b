/** What is heard, as bars, lamps and numbers: at most twenty times a second for the eye, twice for who reads it. */

import { FEATURES, SILENCE } from '../../sound/features.js';
import { element, setText } from '../dom.js';

/** @typedef {import('../../sound/features.js').Features} Features */

const PAINT_MS = 50;
const READ_MS = 500;

const LAMPS = new Set(['onset', 'beat']);

export class Meters {
    #nowMs;
    #bars;
    #tempo;
    #paintedMs = -Infinity;
    #readMs = -Infinity;

    /**
     * @param {import('../texts.js').Texts} texts
     * @param {() => number} nowMs
     */
    constructor(texts, nowMs) {
        this.#nowMs = nowMs;
        this.#bars = FEATURES.map((name) => makeBar(name, texts));
        this.#tempo = element('dd', { textContent: '–' });
        const term = element('dt');
        texts.bind(term, 'sound.tempo');
        const tempo = element('dl', { className: 'meter-tempo' }, element('div', {}, term, this.#tempo));
        this.root = element('div', { className: 'meters' }, ...this.#bars.map(({ root }) => root), tempo);
        this.show(SILENCE, true);
    }

    /**
     * @param {Features} features
     * @param {boolean} [isFinal] Whether it is to be shown whatever was shown a moment ago.
     */
    show(features, isFinal = false) {
        const nowMs = this.#nowMs();
        if (!isFinal && nowMs - this.#paintedMs < PAINT_MS) {
            return;
        }
        this.#paintedMs = nowMs;
        const isRead = isFinal || nowMs - this.#readMs >= READ_MS;
        if (isRead) {
            this.#readMs = nowMs;
            setText(this.#tempo, features.tempo_bpm === null ? '–' : String(Math.round(features.tempo_bpm)));
        }
        for (const { name, root, fill, value } of this.#bars) {
            const share = features[name];
            if (LAMPS.has(name)) {
                fill.style.opacity = String(share);
            } else {
                fill.style.transform = `scaleX(${share.toFixed(3)})`;
            }
            if (isRead) {
                root.setAttribute('aria-valuenow', share.toFixed(2));
                setText(value, share.toFixed(2));
            }
        }
    }
}

/**
 * @param {typeof FEATURES[number]} name
 * @param {import('../texts.js').Texts} texts
 */
function makeBar(name, texts) {
    const label = element('span', { className: 'meter-name' });
    texts.bind(label, `sound.feature.${name}`);
    const fill = element('i');
    const track = element('span', { className: LAMPS.has(name) ? 'meter-lamp' : 'meter-track' }, fill);
    const value = element('span', { className: 'meter-value' });
    const root = element(
        'div',
        { className: 'meter', role: 'meter', 'aria-valuemin': 0, 'aria-valuemax': 1 },
        label, track, value,
    );
    texts.bind(root, `sound.feature.${name}`, { attribute: 'aria-label' });
    root.dataset.feature = name;
    return { name, root, fill, value };
}
