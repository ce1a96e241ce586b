/** Instants as an exhibition shows them. */

/**
 * Write an instant as the local time of day, `HH:MM:SS.mmm`.
 *
 * @param {number} unixMs
 */
export function timeOfDay(unixMs) {
    const instant = new Date(unixMs);
    const clock = [instant.getHours(), instant.getMinutes(), instant.getSeconds()].map((part) => digits(part, 2));
    return `${clock.join(':')}.${digits(instant.getMilliseconds(), 3)}`;
}

/**
 * @param {number} value
 * @param {number} count
 */
function digits(value, count) {
    return String(value).padStart(count, '0');
}
