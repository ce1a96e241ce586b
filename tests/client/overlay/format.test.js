import assert from 'node:assert/strict';
import test from 'node:test';

import {
    drops, duration, pace, picture, rate, rows, segments, serverFigures, short,
} from '../../../client/overlay/format.js';
import { FIGURES } from './fakes.js';

// A canvas on which a job runs.
const PAINTED = { fps: 4, queue: { length: 0, running: 'a' }, ingest: null };

const NO_SERVER = { fps: null, link: null, drops: null };

test('numbers have as many digits as can be read', () => {
    const told = [0, 0.04, 3.14, 4, 9.94, 9.96, 42.4, 1234.5].map(short);
    assert.deepEqual(told, ['0', '0', '3.1', '4', '9.9', '10', '42', '1235']);
});

test('durations are milliseconds, and seconds where there are many', () => {
    assert.deepEqual([0.5, 42.4, 9999, 12_345].map(duration), ['0.5 ms', '42 ms', '9999 ms', '12 s']);
    assert.deepEqual([null, undefined].map(duration), ['–', '–']);
});

test('rates are told in the unit that fits', () => {
    const told = [0, 999, 1000, 999_600, 1_234_567, 12_500_000, 5e12].map(rate);
    assert.deepEqual(told, ['0 B/s', '999 B/s', '1 kB/s', '1 MB/s', '1.2 MB/s', '13 MB/s', '5000 GB/s']);
    assert.equal(rate(null), '–');
});

test('a picture is told by tier and size', () => {
    assert.equal(picture(FIGURES), 'jpeg-100-85 · 1920 × 1080');
    assert.equal(picture({ ...FIGURES, tier: null }), '1920 × 1080');
    assert.equal(picture({ ...FIGURES, tier: null, size: null }), '–');
});

test('of lost frames the reasons are told that there are', () => {
    assert.equal(drops(FIGURES.drops), 'skipped 2 · missed 1');
    assert.equal(drops({ skipped: 0 }), 'none');
    assert.equal(drops(null), '–');
});

test('the bar’s parts add up to the whole', () => {
    const parts = segments(FIGURES);

    assert.ok(Math.abs(parts.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
    const told = parts.map(({ name, text }) => `${name} ${text}`);
    assert.deepEqual(told, ['publish 1', 'encode 4.4', 'network 12', 'decode 9', 'present 16']);
    assert.deepEqual(segments({ ...FIGURES, stages_ms: {} }), []);
    assert.deepEqual(segments({ ...FIGURES, stages_ms: { decode: 0 } }), [{ name: 'decode', share: 0, text: '0' }]);
});

test('a panel says what the browser and what the server knows', () => {
    const told = rows(FIGURES, { fps: 4, link: 14_000_000, drops: { replaced: 3, skipped: 2, hidden: 1 } });

    assert.deepEqual(told, {
        'picture': 'jpeg-100-85 · 1920 × 1080',
        'round trip': '12 ms · clock ± 6.2 ms',
        'received': '1.2 MB/s · link 14 MB/s',
        'lost here': 'skipped 2 · missed 1',
        'lost by server': 'replaced 3 · hidden 1',
    });
});

test('a panel claims nothing that nobody knows', () => {
    const told = rows({ ...FIGURES, age_ms: null, rtt_ms: null, offset_error_ms: null }, NO_SERVER);

    assert.deepEqual([told['round trip'], told.received, told['lost by server']], ['–', '1.2 MB/s', '–']);
});

test('frames are told with how many there are to be, where the server has told that', () => {
    assert.deepEqual([pace(FIGURES, NO_SERVER), pace(FIGURES, { ...NO_SERVER, fps: 0.5 })], ['4 / s', '4 of 0.5 / s']);
});

test('of the server’s state this connection’s row is taken', () => {
    const ours = { number: 7, goodput_bytes_s: 5000, drops: { replaced: 1 } };
    const state = { canvases: { left: { ...PAINTED, subscribers: [{ number: 6, drops: {} }, ours] } } };

    assert.deepEqual(serverFigures(state, 'left', 7), { fps: 4, link: 5000, drops: { replaced: 1 } });
    assert.deepEqual(serverFigures(state, 'left', 8), { fps: 4, link: null, drops: null });
    assert.deepEqual(serverFigures(state, 'left', null), { fps: 4, link: null, drops: null });
});

test('how many frames there are to be is told of a job that paints them, of no other', () => {
    const fpsOf = (canvas) => serverFigures({ canvases: { left: canvas } }, 'left', 7).fps;

    assert.equal(fpsOf(PAINTED), 4);
    assert.equal(fpsOf({ ...PAINTED, ingest: { accepted: 9, dropped: 0, refused: 0 } }), null, 'a feed');
    assert.equal(fpsOf({ ...PAINTED, queue: { length: 0, running: null } }), null, 'pushed, or nothing at all');
});

test('whatever the server answers instead says nothing', () => {
    const rowsOf = (subscribers) => ({ canvases: { left: { subscribers } } });
    const answers = [null, 'x', {}, { error: {} }, { canvases: {} }, rowsOf(12), rowsOf([null])];
    for (const answer of answers) {
        assert.deepEqual(serverFigures(answer, 'left', 7), NO_SERVER, JSON.stringify(answer));
    }
});
