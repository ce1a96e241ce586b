/** Makes a page's screens: where they run is found out once, at the start. */

import { Decoder } from '../paint/decoder.js';
import { browser } from '../stream/environment.js';
import { Gate, health } from '../stream/gate.js';
import { Line } from './line.js';
import { LocalScreen } from './local.js';
import { findWorker } from './probe.js';
import { hasLostWorker, recover } from './recovery.js';

/**
 * @typedef {object} Screens
 * @property {'worker' | 'main'} pipeline Where sockets, decoding and drawing are.
 * @property {(canvas: HTMLCanvasElement, options: import('./screen.js').ScreenOptions,
 *     events: Partial<import('./screen.js').ScreenEvents>) => import('./screen.js').Screen} create
 * @property {Gate} gate For the page's other sockets.
 */

/**
 * @typedef {object} Page What a page gives, beside what its threads have in common.
 * @property {import('../stream/environment.js').Environment} environment
 * @property {DOMStringMap} dataset Of `<html>`.
 * @property {() => Worker} startWorker May throw.
 * @property {(signal: AbortSignal) => Promise<boolean>} probe Whether the server is well.
 * @property {(onReturn: () => void) => void} watchReturn Calls when the network or somebody's look is back.
 * @property {import('./recovery.js').Tab} tab
 */

// Starting a worker takes tens of milliseconds: a page that hangs longer than this on it does better without.
const PATIENCE_MS = 2000;

// Where a worker was asked for by name.
const ASKED_PATIENCE_MS = 10_000;

/**
 * Find out what this browser can do, and make ready.
 *
 * `<html>` says in `data-pipeline` where pictures are made (`worker`, `main`; `lost` after a worker that could not be
 * replaced), and in `data-bitmaps-created` and `data-bitmaps-closed` how many decoded images the page has made and
 * freed: what tests watch for leaks.
 *
 * @param {{ pipeline?: 'worker' | 'main' | null }} [wishes] Null: the better one that works here.
 * @param {Page} [page]
 * @returns {Promise<Screens>}
 */
export async function openScreens({ pipeline = null } = {}, page = thisPage()) {
    const { environment } = page;
    const gate = new Gate(environment, page.probe);
    page.watchReturn(() => gate.hurry());
    const isTried = pipeline !== 'main' && !hasLostWorker(page.tab);
    const patienceMs = pipeline === 'worker' ? ASKED_PATIENCE_MS : PATIENCE_MS;
    const able = isTried ? await findWorker(page.startWorker, environment, patienceMs) : null;
    const screens = able === null ? await inPage(page, gate) : inWorker(able.worker, page, gate);
    page.dataset.pipeline = screens.pipeline;
    return screens;
}

/**
 * @param {Page} page
 * @param {Gate} gate
 * @returns {Promise<Screens>}
 */
async function inPage({ environment, dataset }, gate) {
    const decoder = new Decoder(environment, (counts) => tellBitmaps(dataset, counts));
    const services = { environment, decoder, formats: await decoder.formats(), gate };
    return {
        pipeline: 'main',
        create: (canvas, options, events) => new LocalScreen(canvas, options, events, services),
        gate,
    };
}

/**
 * @param {Worker} worker
 * @param {Page} page
 * @param {Gate} gate
 * @returns {Screens}
 */
function inWorker(worker, { environment, dataset, tab }, gate) {
    const line = new Line(worker, {
        environment,
        gate,
        onBitmaps: (counts) => tellBitmaps(dataset, counts),
        onLost: () => {
            dataset.pipeline = 'lost';
            // As a socket does: while the server is away there is nothing to be loaded but a browser's error page.
            const pass = gate.join(() => {
                if (!recover(tab)) {
                    pass.leave();
                }
            });
            pass.lost();
            pass.ask();
        },
    });
    return {
        pipeline: 'worker',
        create: (canvas, options, events) => line.create(canvas, options, events),
        gate,
    };
}

/**
 * @param {DOMStringMap} dataset
 * @param {Readonly<import('../paint/decoder.js').BitmapCounts>} counts
 */
function tellBitmaps(dataset, { created, closed }) {
    Object.assign(dataset, { bitmapsCreated: String(created), bitmapsClosed: String(closed) });
}

/** @returns {Page} */
function thisPage() {
    return {
        environment: browser,
        dataset: document.documentElement.dataset,
        startWorker: () => {
            if (!('transferControlToOffscreen' in HTMLCanvasElement.prototype)) {
                throw new Error('no canvas of this browser can be given to a worker');
            }
            return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'psyche' });
        },
        probe: health('/health'),
        watchReturn: (onReturn) => {
            addEventListener('online', onReturn);
            document.addEventListener('visibilitychange', () => document.hidden || onReturn());
        },
        tab: { storage: () => sessionStorage, reload: () => location.reload() },
    };
}
