/** What went wrong, in the reader's language. Pure. */

import { ApiError } from './api.js';

// The server tells its errors in English: where the page has words of its own for a code, they go before the details.
const KEYS = new Map([
    ['unreachable', 'error.unreachable'],
    ['http', 'error.http'],
    ['invalid', 'error.invalid'],
    ['unauthorized', 'error.unauthorized'],
    ['forbidden', 'error.forbidden'],
    ['not_found', 'error.not_found'],
    ['unknown_canvas', 'error.unknown_canvas'],
    ['conflict', 'error.conflict'],
    ['too_many', 'error.too_many'],
    ['full', 'error.full'],
    ['too_big', 'error.too_big'],
    ['unsupported_media_type', 'error.unsupported_media_type'],
    ['inference', 'error.inference'],
    ['inference_unavailable', 'error.inference_unavailable'],
    ['inference_busy', 'error.inference_busy'],
    ['inference_cancelled', 'error.inference_cancelled'],
    ['inference_failed', 'error.inference_failed'],
    ['internal', 'error.internal'],
]);

/**
 * Tell what went wrong, as a part of a sentence.
 *
 * @param {unknown} error
 * @param {Pick<import('./texts.js').Texts, 't'>} texts
 */
export function tell(error, texts) {
    const detail = error instanceof Error ? error.message : String(error);
    if (!(error instanceof ApiError)) {
        return detail;
    }
    const key = KEYS.get(error.code);
    return key === undefined ? detail : texts.t(key, { detail, status: String(error.status) });
}
