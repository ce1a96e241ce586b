/** The jobs on the page: those that wait or run, each with its bar, and those that ended without a result. */

import { element, find, setText } from '../dom.js';
import { Batch } from '../frames.js';
import { KeyedList } from '../keyed.js';
import { tell } from '../problems.js';
import { Announcements } from './announcements.js';
import { isEnded } from './book.js';
import { Previews } from './previews.js';
import { endingOf } from './progress.js';
import { JobRow } from './row.js';

/** @typedef {import('./book.js').JobRecord} JobRecord */

/**
 * @typedef {object} JobsServices
 * @property {import('../store.js').Store} store
 * @property {import('../api.js').Api} api
 * @property {import('../texts.js').Texts} texts
 * @property {import('../../stream/environment.js').Environment} environment
 * @property {(message: string, kind?: import('../toasts.js').ToastKind) => void} notify
 * @property {(job: JobRecord) => void} onUse The reader wants to use a job's parameters again.
 */

// Whoever wants older ones asks the server.
const MOST_ENDED = 40;
const TICK_MS = 1000;
// News that come together are told together.
const ANNOUNCE_MS = 1500;
// One that hangs must not take the place of the others for ever.
const PATIENCE_MS = 10_000;

export class JobsPanel {
    #services;
    #batch;
    #running;
    #ended;
    #announcements = new Announcements();
    #isAnnouncing = false;
    #isFollowing = false;
    #isTicking = false;

    /** @param {JobsServices} services */
    constructor(services) {
        this.#services = services;
        const { store, texts, environment } = services;
        const previews = new Previews((url) => loadBlob(url, environment), environment);
        previews.setShown(!document.hidden);
        document.addEventListener('visibilitychange', () => previews.setShown(!document.hidden));
        const watchSight = sightOf(previews);
        const row = {
            store, texts, previews, watchSight,
            cancel: (/** @type {JobRecord} */ job) => this.#cancel(job),
        };
        const keyOf = (/** @type {JobRecord} */ job) => job.id;
        this.#running = new KeyedList(find('#jobs-running'), keyOf, (job) => new JobRow(job, row));
        this.#ended = new KeyedList(find('#jobs-ended'), keyOf, (job) => this.#endedRow(job));
        this.#batch = new Batch(() => this.#show(), environment.requestFrame);
        store.addEventListener('jobs', () => {
            this.#batch.request();
            this.#announceSoon();
        });
        texts.addEventListener('language', this.#batch.request);
    }

    #show() {
        const jobs = this.#services.store.newestJobs();
        const going = jobs.filter((job) => !isEnded(job)).sort(byTurn);
        const ended = jobs.filter(isWithoutResult).slice(0, MOST_ENDED);
        this.#running.show(going);
        this.#ended.show(ended);
        find('#jobs-empty').hidden = going.length > 0;
        find('#ended').hidden = ended.length === 0;
        setText(find('#ended-count'), String(ended.length));
        if (going.some((job) => job.state === 'running')) {
            this.#tickSoon();
        }
    }

    /** Times go on between events. */
    #tickSoon() {
        if (!this.#isTicking) {
            this.#isTicking = true;
            this.#services.environment.setTimer(() => {
                this.#isTicking = false;
                this.#batch.request();
            }, TICK_MS);
        }
    }

    #announceSoon() {
        const { store, texts, environment, notify } = this.#services;
        if (!this.#isFollowing) {
            // What is there when the jobs are listed for the first time is no news; what comes from then on is.
            if (store.isListed) {
                this.#announcements.news(store.newestJobs());
                this.#isFollowing = true;
            }
            return;
        }
        if (this.#isAnnouncing) {
            return;
        }
        this.#isAnnouncing = true;
        environment.setTimer(() => {
            this.#isAnnouncing = false;
            const news = this.#announcements.news(store.newestJobs());
            const failures = news.filter(({ key }) => key === 'announce.failed');
            failures.forEach(({ key, values }) => notify(texts.t(key, values), 'danger'));
            const others = news.filter(({ key }) => key !== 'announce.failed');
            if (others.length > 0) {
                find('#announcer').textContent = others.map(({ key, values }) => texts.t(key, values)).join('. ');
            }
        }, ANNOUNCE_MS);
    }

    /** @param {JobRecord} job */
    async #cancel(job) {
        const { store, api, texts, notify } = this.#services;
        try {
            const answer = await api.delete(`/jobs/${job.id}`);
            store.setJob(answer.job);
        } catch (error) {
            notify(texts.t('page.failed', { message: tell(error, texts) }), 'danger');
        }
    }

    /** @param {JobRecord} job */
    #endedRow(job) {
        const { texts, onUse } = this.#services;
        const use = element('button', { type: 'button', className: 'button button-small' });
        const reason = element('p', { className: 'job-reason' });
        const canvas = element('span', { className: 'badge' });
        const kind = element('span', { className: 'badge' });
        const prompt = element('p', { className: 'job-prompt', textContent: job.prompt, title: job.prompt });
        const about = element('p', { className: 'job-about' }, canvas, kind);
        const main = element('div', { className: 'job-main' }, prompt, about, reason);
        const root = element('li', { className: 'job', dataset: { id: job.id } }, main, use);
        texts.bind(kind, `kind.${job.kind}`);
        if (job.canvas === null) {
            texts.bind(canvas, 'jobs.no_canvas');
        } else {
            canvas.textContent = job.canvas;
        }
        if (job.prompt === '') {
            use.hidden = true;
        }
        texts.bind(use, 'jobs.use_again');
        const values = { prompt: job.prompt.slice(0, 80) };
        texts.bind(use, 'jobs.use_again_what', { attribute: 'aria-label', values });
        use.addEventListener('click', () => onUse(job));
        const update = (/** @type {JobRecord} */ now) => {
            const ending = endingOf(now);
            root.dataset.state = now.state;
            texts.bind(reason, ending.key, { values: ending.values });
        };
        return { root, update };
    }
}

/**
 * What runs comes before what waits; those first that are the next to end.
 *
 * @param {JobRecord} one
 * @param {JobRecord} other
 */
function byTurn(one, other) {
    const waits = (/** @type {JobRecord} */ job) => (job.state === 'queued' ? 1 : 0);
    const live = (/** @type {JobRecord} */ job) => (job.kind === 'live' ? 1 : 0);
    return waits(one) - waits(other)
        || live(one) - live(other)
        || (one.position ?? 0) - (other.position ?? 0)
        || one.created_ms - other.created_ms;
}

/** @param {JobRecord} job */
function isWithoutResult(job) {
    return isEnded(job) && (job.state !== 'succeeded' || job.images.length === 0);
}

/**
 * @param {string} url
 * @param {import('../../stream/environment.js').Environment} environment
 */
async function loadBlob(url, environment) {
    const aborting = new AbortController();
    const timer = environment.setTimer(() => aborting.abort(), PATIENCE_MS);
    try {
        const response = await fetch(url, { cache: 'no-store', signal: aborting.signal });
        return response.ok ? await response.blob() : null;
    } finally {
        environment.clearTimer(timer);
    }
}

/**
 * @param {Previews} previews
 * @returns {(row: HTMLElement, id: string) => () => void}
 */
function sightOf(previews) {
    /** @type {WeakMap<Element, string>} */
    const ids = new WeakMap();
    const observer = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries) {
            previews.setVisible(ids.get(target) ?? '', isIntersecting);
        }
    });
    return (row, id) => {
        ids.set(row, id);
        observer.observe(row);
        return () => observer.unobserve(row);
    };
}
