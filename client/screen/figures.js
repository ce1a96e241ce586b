/** How a screen is doing, over the last seconds: numbers only. */

/**
 * @typedef {object} Figures
 * @property {number} fps Frames presented in the last second.
 * @property {{ p50: number, p95: number } | null} age_ms From finished to presented; null while no clock is known.
 * @property {Record<string, number>} stages_ms Medians, in the order of the way: publish, encode, network, decode,
 *     present. Their sum is the age.
 * @property {string | null} tier
 * @property {{ width: number, height: number } | null} size Of the last frame as it came, pixels.
 * @property {number | null} rtt_ms
 * @property {number | null} offset_error_ms Half of the shortest round trip: the ages may be wrong by so much.
 * @property {number} bytes_per_s
 * @property {Record<string, number>} drops By reason, since the page was loaded: skipped, corrupt, missed (never came).
 */

export {};
