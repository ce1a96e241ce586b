/**
 * The settings of a canvas as the page edits them: what there is, what it accepts, and what a change sends to the
 * server. Pure: it knows no page.
 */

/**
 * @typedef {object} Setting
 * @property {string} name As the server names the field in its errors, and unique.
 * @property {'integer' | 'number' | 'slider' | 'choice' | 'color'} kind
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {(string | number)[]} [choices]
 * @property {boolean} [isOptional] Empty is a value: null.
 * @property {string | number | null} [usual] What it is reset to; undefined: nothing is usual.
 */

/** @typedef {string | number | null} Value */
/** @typedef {import('../store.js').StudioCanvas} StudioCanvas */

/**
 * @typedef {object} Crop In shares of the picture's sides.
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */

/** @type {Crop} */
export const WHOLE = { x: 0, y: 0, width: 1, height: 1 };

// Less of a picture cannot be cut out with a mouse and is no picture.
export const LEAST_SHARE = 0.01;

const factor = (/** @type {string} */ name) =>
    /** @type {Setting} */ ({ name, kind: 'slider', min: 0, max: 4, step: 0.01, usual: 1 });

const percent = (/** @type {string} */ name, /** @type {number} */ min, /** @type {number} */ usual) =>
    /** @type {Setting} */ ({ name: `processing.crop.${name}`, kind: 'number', min, max: 100, step: 0.1, usual });

/** @type {Record<'picture' | 'transition' | 'crop' | 'colours' | 'pixels', Setting[]>} */
export const SETTINGS = {
    picture: [
        // What is usual of these three is a setting of the server, and no page knows it.
        { name: 'width', kind: 'integer', min: 64, max: 4096, step: 8 },
        { name: 'height', kind: 'integer', min: 64, max: 4096, step: 8 },
        { name: 'fps', kind: 'number', min: 0.1, max: 60, step: 0.1 },
        { name: 'format', kind: 'choice', choices: ['jpeg', 'webp', 'png'], usual: 'jpeg' },
        { name: 'quality', kind: 'slider', min: 1, max: 100, step: 1, usual: 90 },
        { name: 'present_delay_ms', kind: 'integer', min: 0, max: 5000, step: 1, isOptional: true, usual: null },
    ],
    transition: [
        { name: 'transition.kind', kind: 'choice', choices: ['cut', 'cross-fade', 'dissolve', 'wipe'], usual: 'cut' },
        { name: 'transition.duration_s', kind: 'slider', min: 0, max: 10, step: 0.05, usual: 0 },
    ],
    crop: [
        percent('x', 0, 0),
        percent('y', 0, 0),
        percent('width', 100 * LEAST_SHARE, 100),
        percent('height', 100 * LEAST_SHARE, 100),
        { name: 'processing.rotate', kind: 'choice', choices: [0, 90, 180, 270], usual: 0 },
        {
            name: 'processing.mirror',
            kind: 'choice',
            choices: ['none', 'horizontal', 'vertical', 'both'],
            usual: 'none',
        },
    ],
    colours: [
        factor('processing.brightness'),
        factor('processing.contrast'),
        factor('processing.saturation'),
        { name: 'processing.hue', kind: 'slider', min: -180, max: 180, step: 1, usual: 0 },
        { name: 'processing.tint.amount', kind: 'slider', min: 0, max: 1, step: 0.01, usual: 0 },
        { name: 'processing.tint.color', kind: 'color', usual: '#4060a0' },
    ],
    pixels: [
        { name: 'processing.pixelate', kind: 'slider', min: 1, max: 256, step: 1, usual: 1 },
        { name: 'processing.blur', kind: 'slider', min: 0, max: 100, step: 0.5, usual: 0 },
    ],
};

/** @type {Setting[]} */
export const ALL_SETTINGS = Object.values(SETTINGS).flat();

/**
 * Read a setting off a canvas.
 *
 * @param {StudioCanvas} canvas
 * @param {Setting} setting
 * @returns {Value}
 */
export function valueOf(canvas, { name, usual }) {
    const [group, part, side] = name.split('.');
    if (group === 'processing' && part === 'crop') {
        const share = (canvas.processing?.crop ?? WHOLE)[side];
        return Math.round(1000 * share) / 10;
    }
    const value = name.split('.').reduce((/** @type {any} */ record, key) => record?.[key], canvas);
    return value ?? usual ?? null;
}

/**
 * Make the body of the `PATCH` that sets it.
 *
 * @param {StudioCanvas} canvas As it is now, with what has been changed since.
 * @param {Setting} setting
 * @param {Value} value
 * @returns {Record<string, any>}
 */
export function patchOf(canvas, { name }, value) {
    const [group, part, side] = name.split('.');
    if (part === undefined) {
        return { [group]: value };
    }
    if (part === 'crop') {
        return { processing: { crop: cropWith(canvas.processing?.crop ?? WHOLE, side, Number(value) / 100) } };
    }
    if (part === 'tint') {
        const tint = { color: '#4060a0', amount: 0, ...canvas.processing?.tint, [side]: value };
        // Without an amount there is none: pictures then pass untouched.
        const isNone = tint.amount === 0 && side === 'amount';
        return { processing: { tint: isNone ? null : tint } };
    }
    return { [group]: { [part]: value } };
}

/**
 * Change one side of a crop: the others give way, so that it stays within the picture.
 *
 * @param {Crop} crop
 * @param {string} side
 * @param {number} share
 * @returns {Crop | null} Null: the whole picture.
 */
function cropWith(crop, side, share) {
    const changed = { ...crop, [side]: share };
    for (const [start, length] of /** @type {const} */ ([['x', 'width'], ['y', 'height']])) {
        if (side === start) {
            changed[start] = Math.min(changed[start], 1 - LEAST_SHARE);
            changed[length] = Math.min(changed[length], 1 - changed[start]);
        } else if (side === length) {
            changed[start] = Math.min(changed[start], 1 - changed[length]);
        }
    }
    return tidy(changed);
}

/**
 * Round a crop so that it stays within the picture, and the whole of it is none.
 *
 * @param {Crop} crop
 * @returns {Crop | null}
 */
export function tidy(crop) {
    const round = (/** @type {number} */ share) => Math.round(10_000 * share) / 10_000;
    const [x, y] = [round(crop.x), round(crop.y)];
    const width = round(Math.min(crop.width, 1 - x));
    const height = round(Math.min(crop.height, 1 - y));
    return x === 0 && y === 0 && width === 1 && height === 1 ? null : { x, y, width, height };
}

/**
 * The key of a setting's label in the texts.
 *
 * @param {Setting} setting
 */
export function labelOf({ name }) {
    const path = name.replace(/^processing\./, '').replace('.', '-');
    return path === 'fps' ? 'canvases.rate' : `canvases.${path}`;
}

/** What takes all processing away again. @type {Record<string, any>} */
export const UNPROCESSED = {
    crop: null,
    rotate: 0,
    mirror: 'none',
    brightness: 1,
    contrast: 1,
    saturation: 1,
    hue: 0,
    tint: null,
    pixelate: 1,
    blur: 0,
};

/** @typedef {'empty' | 'number' | 'least' | 'greatest' | 'eights' | 'whole'} Complaint */

/**
 * Read what was typed.
 *
 * @param {Setting} setting
 * @param {string} text
 * @returns {{ value: Value } | { complaint: Complaint }}
 */
export function parse(setting, text) {
    if (setting.kind === 'choice') {
        return { value: setting.choices?.find((choice) => String(choice) === text) ?? null };
    }
    if (setting.kind === 'color') {
        return { value: text };
    }
    const typed = text.trim().replace(',', '.');
    if (typed === '') {
        return setting.isOptional ? { value: null } : { complaint: 'empty' };
    }
    const value = Number(typed);
    const { min = -Infinity, max = Infinity, kind, step } = setting;
    if (!Number.isFinite(value)) {
        return { complaint: 'number' };
    }
    if (value < min || value > max) {
        return { complaint: value < min ? 'least' : 'greatest' };
    }
    if (kind === 'integer' && step === 8 && value % 8 !== 0) {
        return { complaint: 'eights' };
    }
    return kind === 'integer' && !Number.isInteger(value) ? { complaint: 'whole' } : { value };
}
