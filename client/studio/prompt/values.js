/** What the prompt form holds, and the request that it stands for. Pure. */

/** @typedef {import('../jobs/book.js').JobRecord} JobRecord */

/**
 * @typedef {object} Values What the form holds, as text; '' is what was left to the model.
 * @property {string} prompt
 * @property {string} negative_prompt
 * @property {string} mode `live`, `once` or `variations`.
 * @property {string} count
 * @property {string} fps
 * @property {string} transition_s
 * @property {string} steps
 * @property {string} guidance_scale
 * @property {string} seed
 * @property {string} seeding `random`: another one each time; `keep`: the one of the field.
 * @property {string} width
 * @property {string} height
 * @property {string} model
 * @property {string} style
 * @property {string} template
 * @property {string} upscale
 * @property {string} source `none`, `current` or `upload`.
 * @property {string} strength
 * @property {string} when `now` or `queue`.
 * @property {string} author
 * @property {string} message
 */

/** @type {Readonly<Values>} */
export const EMPTY = Object.freeze({
    prompt: '',
    negative_prompt: '',
    mode: 'live',
    count: '4',
    fps: '',
    transition_s: '2',
    steps: '',
    guidance_scale: '',
    seed: '',
    seeding: 'random',
    width: '',
    height: '',
    model: '',
    style: '',
    template: '',
    upscale: '',
    source: 'none',
    strength: '0.6',
    when: 'now',
    author: '',
    message: '',
});

export const MOST_SEED = 2 ** 31 - 1;

/**
 * @typedef {object} Rule Of a number.
 * @property {number} min
 * @property {number} max
 * @property {number} step What it is a multiple of; 0: any.
 */

/** @type {Record<string, Rule>} */
export const RULES = {
    count: { min: 1, max: 64, step: 1 },
    fps: { min: 0.1, max: 60, step: 0 },
    transition_s: { min: 0, max: 600, step: 0 },
    steps: { min: 1, max: 100, step: 1 },
    guidance_scale: { min: 0, max: 20, step: 0 },
    seed: { min: 0, max: MOST_SEED, step: 1 },
    width: { min: 64, max: 4096, step: 8 },
    height: { min: 64, max: 4096, step: 8 },
    strength: { min: 0.01, max: 1, step: 0 },
};

/**
 * @typedef {object} Problem Why a form cannot be sent.
 * @property {string} field
 * @property {string} key Of the text.
 * @property {Record<string, string | number>} [values]
 */

/**
 * @typedef {object} Aim What is not in the form itself.
 * @property {string[]} canvases The slugs it is for; none: a job without a canvas.
 * @property {string | null} sourceId Of the uploaded image.
 * @property {string | null} maskId
 * @property {Record<string, Rule>} rules Of the numbers, as the model wants them.
 */

/**
 * Tell which fields a form uses as it stands: the others are not sent, whatever they hold.
 *
 * @param {Values} values
 * @returns {Set<string>}
 */
export function usedFields({ mode, source, seeding }) {
    const used = new Set([
        'prompt', 'negative_prompt', 'mode', 'steps', 'guidance_scale', 'width', 'height', 'model', 'style',
        'template', 'upscale', 'source', 'when', 'author', 'message',
    ]);
    const more = {
        count: mode === 'variations',
        fps: mode !== 'once',
        transition_s: mode === 'live',
        strength: source !== 'none',
        seed: seeding === 'keep',
    };
    Object.entries(more).forEach(([field, isUsed]) => isUsed && used.add(field));
    return used;
}

/**
 * Find what is wrong with a form before it is sent: the first thing in its order.
 *
 * @param {Values} values
 * @param {Aim} aim
 * @returns {Problem | null}
 */
export function problemOf(values, { canvases, sourceId, rules }) {
    if (values.prompt.trim() === '') {
        return { field: 'prompt', key: 'problem.empty' };
    }
    if (canvases.length === 0 && values.mode === 'live') {
        return { field: 'mode', key: 'problem.live_needs_canvas' };
    }
    if (canvases.length === 0 && values.source === 'current') {
        return { field: 'source', key: 'problem.current_needs_canvas' };
    }
    if (values.source === 'upload' && sourceId === null) {
        return { field: 'source', key: 'problem.no_image' };
    }
    const used = usedFields(values);
    for (const [field, rule] of Object.entries(rules)) {
        const text = /** @type {any} */ (values)[field];
        if (used.has(field) && text !== '' && !keeps(Number(text), rule)) {
            const { min, max, step } = rule;
            return { field, key: step > 1 ? 'problem.steps_of' : 'problem.range', values: { min, max, step } };
        }
    }
    return null;
}

/**
 * @param {number} value
 * @param {Rule} rule
 */
function keeps(value, { min, max, step }) {
    return value >= min && value <= max && (step === 0 || value % step === 0);
}

/**
 * Write the body of `POST /jobs`. What is left to the model or was not asked for is left out.
 *
 * @param {Values} values Without a problem.
 * @param {Aim} aim
 */
export function bodyOf(values, { canvases, sourceId, maskId }) {
    const used = usedFields(values);
    /** @type {Record<string, unknown>} */
    const body = { prompt: values.prompt.trim(), mode: values.mode, when: values.when };
    for (const field of ['negative_prompt', 'model', 'style', 'template', 'author', 'message']) {
        const text = /** @type {any} */ (values)[field].trim();
        if (text !== '') {
            body[field] = text;
        }
    }
    for (const field of [...Object.keys(RULES), 'upscale']) {
        const text = /** @type {any} */ (values)[field];
        if (used.has(field) && text !== '') {
            body[field] = Number(text);
        }
    }
    if (values.source !== 'none') {
        body.source = values.source === 'upload' ? sourceId : 'current';
        if (maskId !== null && values.source === 'upload') {
            body.mask = maskId;
        }
    }
    if (canvases.length > 0) {
        body.canvases = canvases;
    }
    return body;
}

/**
 * Read a job back into a form: all that it was asked for. What it was painted from is not kept with it.
 *
 * @param {JobRecord} job
 * @param {import('../jobs/book.js').ImageRecord | null} [image] One of its pictures: its own seed, and what the
 *     model chose.
 * @returns {Values}
 */
export function valuesOf(job, image = null) {
    const { parameters } = job;
    const text = (/** @type {any} */ value) => (value === null || value === undefined ? '' : String(value));
    const isPrompt = job.kind === 'live' || job.kind === 'once' || job.kind === 'variations';
    const seed = text(image?.metadata.seed ?? parameters.seed);
    return {
        ...EMPTY,
        prompt: job.prompt,
        negative_prompt: text(parameters.negative_prompt),
        mode: isPrompt ? job.kind : 'once',
        count: job.kind === 'variations' ? text(parameters.count) : EMPTY.count,
        fps: text(parameters.fps),
        transition_s: job.kind === 'live' ? text(parameters.transition_s) : EMPTY.transition_s,
        steps: text(parameters.steps),
        guidance_scale: text(parameters.guidance_scale),
        seed,
        seeding: seed === '' ? 'random' : 'keep',
        width: text(parameters.width),
        height: text(parameters.height),
        model: text(parameters.model),
        style: text(parameters.style),
        template: text(parameters.template),
        upscale: text(parameters.upscale),
        strength: parameters.strength === null ? EMPTY.strength : text(parameters.strength),
        author: text(job.author),
        message: text(job.message),
    };
}

/**
 * Read a draft that was kept; what is no text of a field is left out.
 *
 * @param {string | null} kept
 * @returns {Values}
 */
export function readDraft(kept) {
    /** @type {Record<string, unknown>} */
    let draft = {};
    try {
        draft = JSON.parse(kept ?? '{}') ?? {};
    } catch {
        // Whatever it was, it was no draft of ours.
    }
    const known = Object.keys(EMPTY).filter((field) => typeof draft[field] === 'string');
    const values = { ...EMPTY, ...Object.fromEntries(known.map((field) => [field, draft[field]])) };
    // The uploaded image is gone with the page.
    return { ...values, source: values.source === 'current' ? 'current' : 'none' };
}
