/** What a key does. Pure. */

/** @typedef {'blank' | 'prompt' | 'keys' | 'send' | 'leave'} Command */

/**
 * @typedef {object} KeyPress What is used of a `KeyboardEvent`.
 * @property {string} key
 * @property {string} code
 * @property {boolean} ctrlKey
 * @property {boolean} metaKey
 * @property {boolean} altKey
 * @property {boolean} repeat
 * @property {boolean} [isComposing]
 */

/** @type {Map<string, Command>} */
const COMMANDS = new Map([
    ['b', 'blank'],
    ['p', 'prompt'],
    ['/', 'prompt'],
    ['?', 'keys'],
]);

// The key that bears the letter on another alphabet's keyboard: a Russian `b` is `и`.
/** @type {Map<string, Command>} */
const CODES = new Map([
    ['KeyB', 'blank'],
    ['KeyP', 'prompt'],
]);

/**
 * Tell what a key press asks for; null: nothing of ours.
 *
 * @param {KeyPress} press
 * @param {{ isTyping: boolean, hasDialog: boolean }} where
 * @returns {Command | null}
 */
export function commandOf(press, { isTyping, hasDialog }) {
    if (press.repeat || press.isComposing || hasDialog || press.altKey) {
        return null;
    }
    if (press.ctrlKey || press.metaKey) {
        return press.key === 'Enter' ? 'send' : null;
    }
    if (isTyping) {
        // After it the other keys do what they say again.
        return press.key === 'Escape' ? 'leave' : null;
    }
    const key = press.key.toLowerCase();
    const isLatin = /^[\x20-\x7e]$/.test(key);
    return COMMANDS.get(key) ?? (isLatin ? null : CODES.get(press.code) ?? null);
}

// Inputs in which a letter is no text.
const WITHOUT_TEXT = new Set(['button', 'checkbox', 'color', 'file', 'image', 'radio', 'range', 'reset', 'submit']);

/**
 * Tell whether what is typed goes into an element.
 *
 * @param {{ tagName: string, type?: string, isContentEditable?: boolean } | null} target
 */
export function takesText(target) {
    if (target === null) {
        return false;
    }
    const tag = target.tagName.toLowerCase();
    if (tag === 'input') {
        return !WITHOUT_TEXT.has(target.type ?? 'text');
    }
    // A letter chooses in a list, too.
    return tag === 'textarea' || tag === 'select' || target.isContentEditable === true;
}
