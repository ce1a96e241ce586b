/**
 * What strangers write, made fit to be shown: names, messages and prompts of people nobody knows.
 *
 * The result is still only text, for `textContent`. What is cleaned here is what text alone can do to a
 * page: order that runs backwards over its neighbours, marks piled up over other lines, names that
 * nobody can see, and lengths without an end.
 */

/** How many characters are shown of each, before the lines that they get cut them anyway. */
export const LIMITS = { who: 80, message: 800, prompt: 2000, waiting: 160, caption: 200 };

// More than the longest text that the server takes; what lies beyond is not even looked at.
const READ_UNITS = 16_000;

// With the blank pattern of Braille, which is drawn as nothing.
const SPACES = /[\p{Z}\t\n\v\f\r\u0085\u2800]+/gu;

// Control characters, halves of surrogate pairs, and what is drawn as nothing or turns the order of its neighbours.
const UNSEEN = new RegExp(
    '[\\p{Cc}\\p{Cs}\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u202a-\\u202e' +
        '\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}' +
        '\\u{e0000}-\\u{e001f}\\u{e0080}-\\u{e00ff}\\u{e01f0}-\\u{e0fff}]',
    'gu',
);

// Letters that are not drawn spell the flags of England, Scotland and Wales; nowhere else do they belong.
const TAGS = /(\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{1,6}\u{e007f})|[\u{e0020}-\u{e007f}]/gu;

// Joiners make families of emoji and words of Persian and Hindi: one at a time, between two signs.
const LOOSE_JOINERS = /(^| )[\u200c\u200d]+|[\u200c\u200d]+(?=$| )/gu;
const PILED_JOINERS = /([\u200c\u200d])[\u200c\u200d]+/gu;

// No living script sets more than four marks on one letter.
const PILED_MARKS = /((?:[\u200c\u200d]?\p{M}){4})(?:[\u200c\u200d]?\p{M})+/gu;

const HALF_SIGNS_AT_END = /[\u200c\u200d\p{M} ]+$/u;

/**
 * Make a text fit to be shown.
 *
 * @param {unknown} text Anything; what is no text counts as empty.
 * @param {number} maxChars Longer ones end in an ellipsis.
 * @returns {string} One line without spaces at its ends; empty where nothing could be seen.
 */
export function clean(text, maxChars) {
    if (typeof text !== 'string') {
        return '';
    }
    const seen = text
        .slice(0, READ_UNITS)
        .replace(SPACES, ' ')
        .replace(UNSEEN, '')
        .replace(TAGS, '$1')
        .replace(LOOSE_JOINERS, '$1')
        .replace(PILED_JOINERS, '$1')
        .replace(PILED_MARKS, '$1')
        .replace(/^[\p{M} ]+/u, '')
        .replace(/ {2,}/g, ' ')
        .trim();
    return shortened(seen, maxChars);
}

/**
 * @param {string} text
 * @param {number} maxChars
 */
function shortened(text, maxChars) {
    const chars = Array.from(text);
    if (chars.length <= maxChars) {
        return text;
    }
    return `${chars.slice(0, maxChars - 1).join('').replace(HALF_SIGNS_AT_END, '')}…`;
}
