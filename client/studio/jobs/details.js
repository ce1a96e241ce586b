/** What is told of a picture, row by row, and how two of them differ. Pure. */

/** @typedef {import('./book.js').JobRecord} JobRecord */
/** @typedef {import('./book.js').ImageRecord} ImageRecord */

/**
 * @typedef {object} Shown One picture of a job.
 * @property {JobRecord} job
 * @property {ImageRecord} image
 * @property {number} index From 0, within its job.
 */

/**
 * @typedef {object} Fact
 * @property {string} key Of the label's text.
 * @property {string} value As it is read.
 */

/**
 * @typedef {object} Difference
 * @property {string} key
 * @property {string} a
 * @property {string} b
 * @property {boolean} differs
 */

/** @typedef {(key: string, values?: Record<string, string | number>) => string} Translate */

/**
 * Every picture of these jobs that is a result, newest job first. A live picture is shown while it runs, and is none.
 *
 * @param {readonly JobRecord[]} jobs
 * @returns {Shown[]}
 */
export function resultsOf(jobs) {
    return jobs
        .filter((job) => job.kind !== 'live')
        .flatMap((job) => job.images.map((image, index) => ({ job, image, index })));
}

/** @param {Shown} shown */
export const keyOf = ({ job, index }) => `${job.id}/${index}`;

/** @param {Shown} shown */
export const seedOf = ({ job, image }) => String(image.metadata.seed ?? job.parameters.seed ?? '');

/**
 * The one line below a picture.
 *
 * @param {Shown} shown
 * @param {Translate} t
 */
export function summaryOf(shown, t) {
    const { image } = shown;
    const steps = image.metadata.steps;
    return [
        image.metadata.model,
        sizeOf(image),
        typeof steps === 'number' ? `${t('detail.steps')} ${steps}` : '',
        `${t('detail.seed')} ${seedOf(shown)}`,
    ].filter(Boolean).join(' · ');
}

/**
 * Everything that is known of a picture; what is not known is left out.
 *
 * @param {Shown} shown
 * @param {Translate} t
 * @param {import('../format.js').Format} format
 * @returns {Fact[]}
 */
export function factsOf(shown, t, format) {
    const { job, image } = shown;
    const { metadata } = image;
    const { parameters } = job;
    const duration = (/** @type {any} */ ms) => (typeof ms === 'number' ? format.duration(ms) : '');
    const number = (/** @type {any} */ value) => (typeof value === 'number' ? String(value) : '');
    const engine = metadata.engine ?? '';
    const facts = [
        ['detail.prompt', job.prompt],
        ['detail.negative_prompt', parameters.negative_prompt],
        ['detail.painted_prompt', metadata.prompt === job.prompt ? '' : metadata.prompt],
        ['detail.model', metadata.model],
        ['detail.engine', metadata.is_neural === false ? t('detail.not_neural', { engine }) : engine],
        ['detail.device', metadata.device],
        ['detail.size', sizeOf(image)],
        ['detail.format', image.format],
        ['detail.seed', seedOf(shown)],
        ['detail.steps', number(metadata.steps)],
        ['detail.guidance_scale', number(metadata.guidance_scale)],
        ['detail.style', metadata.style],
        ['detail.template', parameters.template],
        ['detail.strength', number(parameters.strength)],
        ['detail.upscaler', metadata.upscaler],
        ['detail.canvas', job.canvas ?? t('jobs.no_canvas')],
        ['detail.kind', t(`kind.${job.kind}`)],
        ['detail.author', job.author],
        ['detail.message', job.message],
        ['detail.queued_for', duration(metadata.queued_for_ms)],
        ['detail.painted_for', duration(metadata.painted_for_ms)],
        ['detail.encoded_for', duration(metadata.encoded_for_ms)],
        ['detail.stages', stagesOf(metadata.stage_ms, duration)],
        ['detail.created', format.time(job.created_ms)],
        ['detail.warnings', warningsOf(shown).join(' · ')],
    ];
    return facts.filter(([, value]) => value).map(([key, value]) => ({ key, value: String(value) }));
}

/**
 * What was asked for and could not be used.
 *
 * @param {Shown} shown
 * @returns {string[]}
 */
export function warningsOf({ job, image }) {
    return [...new Set([...(image.metadata.warnings ?? []), ...job.warnings])];
}

/**
 * Lay the facts of two pictures beside each other.
 *
 * @param {Fact[]} a
 * @param {Fact[]} b
 * @returns {Difference[]}
 */
export function differencesOf(a, b) {
    const left = new Map(a.map(({ key, value }) => [key, value]));
    const right = new Map(b.map(({ key, value }) => [key, value]));
    const keys = [...new Set([...left.keys(), ...right.keys()])];
    return keys.map((key) => {
        const [one, other] = [left.get(key) ?? '', right.get(key) ?? ''];
        return { key, a: one, b: other, differs: one !== other };
    });
}

/** @param {ImageRecord} image */
function sizeOf({ width, height }) {
    return `${width} × ${height}`;
}

/**
 * @param {Record<string, number> | undefined} stages
 * @param {(ms: number) => string} duration
 */
function stagesOf(stages, duration) {
    return Object.entries(stages ?? {}).map(([name, ms]) => `${name} ${duration(ms)}`).join(', ');
}
