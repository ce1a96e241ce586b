/** One job on the page, while it waits or runs: its bar, its preview, and the button that ends it. */

import { element, setText } from '../dom.js';
import { clock } from '../format.js';
import { isWaitingForService, progressOf } from './progress.js';

/** @typedef {import('./book.js').JobRecord} JobRecord */

/**
 * @typedef {object} RowServices
 * @property {import('../store.js').Store} store
 * @property {import('../texts.js').Texts} texts
 * @property {import('./previews.js').Previews} previews
 * @property {(row: HTMLElement, id: string) => () => void} watchSight Tells `previews` whether a row is in sight.
 * @property {(job: JobRecord) => Promise<void>} cancel
 */

const STEP_INTERVAL_MS = 250;
const SECOND_MS = 1000;
// A live picture is on the canvases beside it as well.
const LIVE_INTERVAL_MS = 2000;
// For a moment the pictures of the live job before it go on.
const LIVE_SETTLES_MS = 1000;

export class JobRow {
    #services;
    #job;
    #leaveSight;
    #previewUrl = '';
    /** The second of which the times are shown. */
    #second = NaN;
    #isEnding = false;
    #preview = element('img', { className: 'job-preview', alt: '', hidden: true });
    #bar = element('div', { className: 'bar', role: 'progressbar', 'aria-valuemin': 0 }, element('span'));
    #prompt = element('p', { className: 'job-prompt' });
    #canvas = element('span', { className: 'badge' });
    #kind = element('span', { className: 'badge' });
    #state = element('span', { className: 'job-state' });
    #time = element('span', { className: 'job-time' });
    #warnings = element('p', { className: 'field-note' });
    #cancel = element('button', { type: 'button', className: 'button button-small' });

    /**
     * @param {JobRecord} job
     * @param {RowServices} services
     */
    constructor(job, services) {
        this.#services = services;
        this.#job = job;
        const { texts } = services;
        const about = element('p', { className: 'job-about' }, this.#canvas, this.#kind, this.#state, this.#time);
        const main = element('div', { className: 'job-main' }, this.#prompt, about, this.#bar, this.#warnings);
        const frame = element('div', { className: 'job-picture' }, this.#preview);
        this.root = element('li', { className: 'job', dataset: { id: job.id } }, frame, main, this.#cancel);
        this.#cancel.addEventListener('click', () => void this.#end());
        this.#tellPrompt();
        texts.bind(this.#cancel, 'jobs.cancel');
        if (job.canvas === null) {
            texts.bind(this.#canvas, 'jobs.no_canvas');
        } else {
            this.#canvas.textContent = job.canvas;
        }
        texts.bind(this.#kind, `kind.${job.kind}`);
        this.#leaveSight = services.watchSight(this.root, job.id);
    }

    /** @param {JobRecord} job */
    update(job) {
        const { store, texts } = this.#services;
        const nowMs = store.serverNowMs();
        const second = Math.floor(nowMs / SECOND_MS);
        if (job === this.#job && second === this.#second) {
            // Of two hundred rows one changes.
            return;
        }
        this.#job = job;
        this.#second = second;
        const progress = progressOf(job, nowMs, isWaitingForService(job, store));
        this.root.dataset.state = job.state;
        texts.bind(this.#state, progress.key, { values: progress.values });
        this.#showTime(progress);
        this.#showBar(progress);
        setText(this.#warnings, job.warnings.join(' · '));
        if (job.state === 'running' && job.preview) {
            this.#followPreview(job);
        }
    }

    close() {
        this.#services.previews.forget(this.#job.id);
        this.#leaveSight();
        URL.revokeObjectURL(this.#previewUrl);
    }

    #tellPrompt() {
        const { texts } = this.#services;
        const { prompt, kind } = this.#job;
        if (prompt === '') {
            texts.bind(this.#prompt, `kind.${kind}`);
        } else {
            this.#prompt.textContent = prompt;
            this.#prompt.title = prompt;
        }
        const values = { prompt: prompt.slice(0, 80) };
        texts.bind(this.#bar, 'jobs.progress_of', { attribute: 'aria-label', values });
        texts.bind(this.#cancel, 'jobs.cancel_what', { attribute: 'aria-label', values });
        texts.bind(this.#preview, 'jobs.preview', { attribute: 'alt', values });
    }

    /** @param {import('./progress.js').Progress} progress */
    #showTime({ elapsedMs, remainingMs }) {
        const { texts } = this.#services;
        if (elapsedMs === null) {
            texts.unbind(this.#time);
            setText(this.#time, '');
        } else if (remainingMs === null) {
            texts.bind(this.#time, 'progress.elapsed', { values: { elapsed: clock(elapsedMs) } });
        } else {
            const values = { elapsed: clock(elapsedMs), remaining: clock(remainingMs) };
            texts.bind(this.#time, 'progress.remaining', { values });
        }
    }

    /** @param {import('./progress.js').Progress} progress */
    #showBar({ bar, step, total, key, values }) {
        this.#bar.hidden = bar === 'none';
        this.#bar.classList.toggle('is-unsure', bar === 'unsure');
        this.#services.texts.bind(this.#bar, key, { attribute: 'aria-valuetext', values });
        if (bar === 'sure') {
            this.#bar.setAttribute('aria-valuemax', String(total));
            this.#bar.setAttribute('aria-valuenow', String(step));
            this.#bar.style.setProperty('--share', String(Math.min(1, step / total)));
        } else {
            this.#bar.removeAttribute('aria-valuenow');
        }
    }

    /** @param {JobRecord} job */
    #followPreview({ id, kind, canvas, preview, step, images, loading, started_ms: startedMs }) {
        const { previews, store } = this.#services;
        // It has no picture of its own: the newest one of its canvas is shown.
        const isOnCanvas = kind !== 'once' && kind !== 'variations' && kind !== 'drawing';
        const frameMs = store.traffic.get(canvas ?? '')?.newest_ms ?? 0;
        const firstMs = (startedMs ?? Infinity) + (kind === 'live' ? LIVE_SETTLES_MS : 0);
        const isOnScreens = frameMs >= firstMs && (loading ?? null) === null;
        const hasPicture = isOnCanvas ? isOnScreens : step > 0 || images.length > 0;
        if (hasPicture) {
            const version = isOnCanvas ? String(frameMs) : `${step}-${images.length}`;
            const intervalMs = isOnCanvas ? LIVE_INTERVAL_MS : STEP_INTERVAL_MS;
            const isThere = () => hasPreview(store, id, isOnCanvas);
            previews.follow(id, { url: preview, version, intervalMs, isThere }, (blob) => this.#showPreview(blob));
        }
    }

    /** @param {Blob} blob */
    #showPreview(blob) {
        const old = this.#previewUrl;
        this.#previewUrl = URL.createObjectURL(blob);
        this.#preview.src = this.#previewUrl;
        this.#preview.hidden = false;
        URL.revokeObjectURL(old);
    }

    async #end() {
        if (this.#isEnding) {
            return;
        }
        this.#isEnding = true;
        // Not `disabled`: the focus stays where it is.
        this.#cancel.setAttribute('aria-disabled', 'true');
        try {
            await this.#services.cancel(this.#job);
        } finally {
            this.#isEnding = false;
            this.#cancel.removeAttribute('aria-disabled');
        }
    }
}

/**
 * Whether the server still has a preview: of what runs, and of a canvas only while that is not dark.
 *
 * @param {Pick<import('../store.js').Store, 'jobs' | 'canvases'>} store
 * @param {string} id
 * @param {boolean} isOnCanvas Whether it is the picture of its canvas.
 */
export function hasPreview({ jobs, canvases }, id, isOnCanvas) {
    const job = jobs.get(id);
    return job?.state === 'running'
        && !(isOnCanvas && canvases.some(({ slug, blank }) => slug === job.canvas && blank === true));
}
