/** A job as the stage shows it: read from what the server told, whatever is in its fields. */

import { LIMITS, clean } from './text.js';
import { wordFor } from './texts.js';

/** @typedef {import('./texts.js').Words} Words */

/**
 * @typedef {object} Job What is shown of a job; its words are clean.
 * @property {string} id
 * @property {string} kind
 * @property {string} who
 * @property {boolean} isNamed Whether `who` is a person's name, and not only where the job came from.
 * @property {string} message
 * @property {string} prompt
 * @property {boolean} isLoading
 * @property {number} step
 * @property {number} total_steps
 * @property {number | null} started_ms
 * @property {number | null} ends_ms
 */

/**
 * Read a job, whatever is in its fields: strangers wrote some of them.
 *
 * @param {any} told
 * @param {Words} words
 * @returns {Job | null}
 */
export function readJob(told, words) {
    if (typeof told?.id !== 'string') {
        return null;
    }
    const author = clean(told.author, LIMITS.who);
    const source = clean(told.source, LIMITS.who);
    const kind = String(told.kind);
    return {
        id: told.id,
        kind,
        who: author || (wordFor(words.sources, source) ?? source),
        isNamed: author !== '',
        message: clean(told.message, LIMITS.message),
        prompt: clean(told.prompt, LIMITS.prompt) || subjectOf(kind, told.parameters, words),
        isLoading: typeof told.loading === 'string' && told.loading !== '',
        step: count(told.step),
        total_steps: count(told.total_steps),
        started_ms: isNumber(told.started_ms) ? told.started_ms : null,
        ends_ms: isNumber(told.ends_ms) ? told.ends_ms : null,
    };
}

/**
 * What a job without a prompt shows.
 *
 * @param {string} kind
 * @param {any} parameters
 * @param {Words} words
 */
function subjectOf(kind, parameters, words) {
    if (kind === 'ingest') {
        return words.feed;
    }
    const folder = clean(parameters?.folder, LIMITS.who);
    if (kind === 'test' || folder === 'samples') {
        return words.samples;
    }
    return folder === '' ? '' : words.folder(folder);
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
export function isNumber(value) {
    return typeof value === 'number' && Number.isFinite(value);
}

/** @type {(value: any) => number} */
const count = (value) => (Number.isSafeInteger(value) && value > 0 ? value : 0);
