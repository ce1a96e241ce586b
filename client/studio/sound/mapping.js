/** Which sound moves what of a canvas: the rows as they are edited. Pure: it knows no page. */

import { FEATURES } from '../../sound/features.js';

/** @typedef {import('../canvases/settings.js').Setting} Setting */
/** @typedef {import('../canvases/settings.js').Value} Value */

/**
 * @typedef {object} Mapping As a canvas has it.
 * @property {string} feature
 * @property {string} parameter
 * @property {number} low Of the parameter, where the feature is 0 and there is sound.
 * @property {number} high Where it is 1.
 * @property {number} smoothing_s How long it takes to follow.
 */

/** @typedef {Mapping & { key: string }} Row Its key stays while it is edited. */

/**
 * What can be moved, as the server has it: its least and greatest value, and a range that shows.
 *
 * @type {Record<string, { min: number, max: number, step: number, low: number, high: number }>}
 */
export const PARAMETERS = {
    speed: { min: 0, max: 8, step: 0.1, low: 1, high: 4 },
    strength: { min: -1, max: 1, step: 0.01, low: 0, high: 0.3 },
    seed: { min: 0, max: 4, step: 0.05, low: 0, high: 1 },
    palette: { min: -180, max: 180, step: 1, low: 0, high: 40 },
    guidance: { min: -20, max: 20, step: 0.5, low: 0, high: 4 },
};

export const MAX_MAPPINGS = 16;
const MAX_SMOOTHING_S = 10;

/**
 * The settings of a row.
 *
 * @param {Row} row
 * @returns {Setting[]}
 */
export function settingsOf({ parameter }) {
    const { min, max, step } = PARAMETERS[parameter] ?? PARAMETERS.speed;
    return [
        { name: 'feature', kind: 'choice', choices: [...FEATURES] },
        { name: 'parameter', kind: 'choice', choices: Object.keys(PARAMETERS) },
        { name: 'low', kind: 'slider', min, max, step },
        { name: 'high', kind: 'slider', min, max, step },
        { name: 'smoothing_s', kind: 'slider', min: 0, max: MAX_SMOOTHING_S, step: 0.05 },
    ];
}

export class Mappings {
    /** @type {Row[]} */
    rows = [];
    #made = 0;

    /**
     * Take what the canvas has. A row that is still there keeps its key, and so its place on the page.
     *
     * @param {Mapping[]} mappings
     */
    take(mappings) {
        this.rows = mappings.map((mapping, index) => {
            const before = this.rows[index];
            // Another parameter has other limits: it is another row.
            const key = before?.parameter === mapping.parameter ? before.key : this.#newKey();
            return { ...mapping, key };
        });
    }

    /** As the server takes them. */
    list() {
        return this.rows.map(({ feature, parameter, low, high, smoothing_s }) =>
            ({ feature, parameter, low, high, smoothing_s }));
    }

    /** Whether another one is taken. */
    get hasRoom() {
        return this.rows.length < MAX_MAPPINGS;
    }

    /** Add a row that moves what nothing moves yet. */
    add() {
        const moved = new Set(this.rows.map(({ parameter }) => parameter));
        const parameter = Object.keys(PARAMETERS).find((name) => !moved.has(name)) ?? 'palette';
        const { low, high } = PARAMETERS[parameter];
        this.rows = [...this.rows, { key: this.#newKey(), feature: 'level', parameter, low, high, smoothing_s: 0.2 }];
    }

    /** @param {string} key */
    remove(key) {
        this.rows = this.rows.filter((row) => row.key !== key);
    }

    /**
     * @param {string} key
     * @param {string} name
     * @param {Value} value
     */
    change(key, name, value) {
        this.rows = this.rows.map((row) => {
            if (row.key !== key) {
                return row;
            }
            if (name !== 'parameter') {
                return { ...row, [name]: value };
            }
            const { low, high } = PARAMETERS[String(value)];
            return { ...row, key: this.#newKey(), parameter: String(value), low, high };
        });
    }

    #newKey() {
        this.#made += 1;
        return `row-${this.#made}`;
    }
}

/**
 * Which row, and which setting of it, an error of the server is about.
 *
 * @param {string | null} field Such as `audio.mappings.0.low`.
 * @returns {{ index: number, name: string } | null}
 */
export function placeOf(field) {
    const [, index, name = 'low'] = /^audio\.mappings\.(\d+)(?:\.(\w+))?$/.exec(field ?? '') ?? [];
    return index === undefined ? null : { index: Number(index), name };
}
