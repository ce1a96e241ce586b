/** What the chosen model can do with a form: bounds, defaults, and what it does not use. Pure. */

import { RULES } from './values.js';

/** @typedef {import('../store.js').ModelRecord} ModelRecord */
/** @typedef {import('./values.js').Rule} Rule */

/**
 * @typedef {object} Limits
 * @property {Record<string, Rule>} rules Of the numbers.
 * @property {Record<string, string>} defaults What an empty field stands for, by field.
 * @property {string[]} unused Fields that the model does not use.
 */

/**
 * @param {ModelRecord | null} model Null: nothing is known of it, and the server's own bounds hold.
 * @param {{ width: number, height: number, fps?: number }[]} canvases Those that the prompt is for.
 * @returns {Limits}
 */
export function limitsOf(model, canvases) {
    const shared = shapeOf(canvases);
    const fps = canvases.length > 0 && canvases.every((canvas) => canvas.fps === canvases[0].fps)
        ? canvases[0].fps
        : undefined;
    /** @type {Record<string, string>} */
    const defaults = {};
    const tell = (/** @type {string} */ field, /** @type {number | undefined} */ value) => {
        if (value !== undefined) {
            defaults[field] = String(value);
        }
    };
    tell('fps', fps);
    tell('width', shared?.width ?? (canvases.length === 0 ? model?.default_width : undefined));
    tell('height', shared?.height ?? (canvases.length === 0 ? model?.default_height : undefined));
    if (model === null) {
        return { rules: RULES, defaults, unused: [] };
    }
    tell('steps', model.default_steps);
    tell('guidance_scale', model.default_guidance_scale);
    const side = { min: model.min_size, max: model.max_size, step: 8 };
    const unused = [
        model.uses_negative_prompt ? [] : ['negative_prompt'],
        model.uses_guidance ? [] : ['guidance_scale'],
        model.paints_from_source ? [] : ['source', 'strength'],
        model.paints_from_mask ? [] : ['mask'],
    ].flat();
    return {
        rules: { ...RULES, steps: { ...RULES.steps, max: model.max_steps }, width: side, height: side },
        defaults,
        unused,
    };
}

/**
 * @param {{ width: number, height: number }[]} canvases
 * @returns {{ width: number, height: number } | null} Null where they differ, or where there is none.
 */
function shapeOf(canvases) {
    const [first] = canvases;
    const isShared = canvases.every(({ width, height }) => width === first.width && height === first.height);
    return first !== undefined && isShared ? first : null;
}
