/** Which keys open and close the figures. */

// Where somebody writes, a letter is a letter.
const WRITTEN_IN = ['INPUT', 'TEXTAREA', 'SELECT'];

/**
 * What a key means for the figures.
 *
 * @param {KeyboardEvent} event
 * @returns {'toggle' | 'close' | null} Null: nothing.
 */
export function meaningOf(event) {
    const { key, code, target } = event;
    const isChord = event.ctrlKey || event.altKey || event.metaKey || event.shiftKey;
    if (isChord || event.repeat || event.isComposing || event.defaultPrevented || isWrittenIn(target)) {
        return null;
    }
    if (key === 'Escape') {
        return 'close';
    }
    // On a keyboard of another script the key has another letter, and the same place.
    const isElsewhere = code === 'KeyD' && key.length === 1 && !/[a-z]/i.test(key);
    return key.toLowerCase() === 'd' || isElsewhere ? 'toggle' : null;
}

/** @param {any} target */
function isWrittenIn(target) {
    return WRITTEN_IN.includes(target?.tagName) || target?.isContentEditable === true;
}
