/**
 * What a `<canvas>` says of the frames that it shows, for tests and for a person with the developer tools.
 *
 * In its data attributes: `sequence`, `job`, `tier` and `timestamp-ms` of the last frame, `presented-ms` (when it
 * was on its way to the screen, on the server's clock) and `age-ms` (how old it was then), and how many frames were
 * `painted` since the page was loaded. For each frame that was presented it sends a `psyche:presented` event that
 * bubbles and says the same in its `detail`: `slug`, `sequence`, `tier`, `timestamp_ms`, `present_at_ms`,
 * `presented_ms` (null while the server's clock is not known yet).
 */

/** @typedef {import('../screen/screen.js').FrameReport} FrameReport */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {FrameReport} report
 * @param {number} painted
 */
export function tellDrawn(canvas, { sequence, job, tier, timestamp_ms }, painted) {
    Object.assign(canvas.dataset, { sequence, job: job ?? '', tier: tier ?? '', timestampMs: timestamp_ms, painted });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {string} slug
 * @param {FrameReport & { presented_ms: number | null }} report
 */
export function tellPresented(canvas, slug, { sequence, tier, timestamp_ms, present_at_ms, presented_ms }) {
    if (presented_ms !== null) {
        canvas.dataset.presentedMs = presented_ms.toFixed(1);
        canvas.dataset.ageMs = (presented_ms - timestamp_ms).toFixed(1);
    }
    const detail = { slug, sequence, tier, timestamp_ms, present_at_ms, presented_ms };
    canvas.dispatchEvent(new CustomEvent('psyche:presented', { bubbles: true, detail }));
}
