import assert from 'node:assert/strict';
import test from 'node:test';

import { Progress, Rhythm, plannedPauseMs } from '../../../client/paint/transition.js';

/** Pictures after these pauses, the first at once; what is expected after the last one. */
function expected(pausesMs, { plannedMs = Infinity, jobs = [] } = {}) {
    const rhythm = new Rhythm();
    let nowMs = 5000;
    rhythm.note(nowMs, jobs[0]);
    pausesMs.forEach((pauseMs, index) => {
        nowMs += pauseMs;
        rhythm.note(nowMs, jobs[index + 1]);
    });
    return rhythm.nextInMs(plannedMs);
}

test('before anything was measured the next picture comes when it is planned to', () => {
    assert.equal(expected([]), Infinity);
    assert.equal(expected([], { plannedMs: 250 }), 250);
});

test('a measured pause is known from the second picture on', () => {
    assert.equal(expected([250]), 250);
    assert.equal(expected([10_000], { plannedMs: 250 }), 250);
    assert.equal(expected([10_000, 10_000, 10_000], { plannedMs: 250 }), 10_000);
});

test('a picture that comes by itself changes nothing', () => {
    assert.equal(expected([10_000, 10_000, 100, 10_000]), 10_000);
    assert.equal(expected([250, 250, 250, 60_000]), 250);
});

test('another job has another rhythm', () => {
    assert.equal(expected([10_000, 10_000, 10_000, 250], { jobs: ['slow', 'slow', 'slow', 'slow', 'quick'] }), 250);
});

test('a pause in which nobody looked is none', () => {
    const rhythm = new Rhythm();
    [0, 250, 500, 750].forEach((atMs) => rhythm.note(atMs, null));
    rhythm.interrupt();
    [60_000, 60_250].forEach((atMs) => rhythm.note(atMs, null));

    assert.equal(rhythm.nextInMs(Infinity), 250);
});

test('a pause is planned while something is painted at a rate', () => {
    const cases = [
        [{ state: 'painting', job: { kind: 'live', parameters: { fps: null } } }, 250],
        [{ state: 'painting', job: { kind: 'live', parameters: { fps: 0.5 } } }, 2000],
        [{ state: 'painting', job: { kind: 'playlist', parameters: { fps: 10 } } }, 100],
        [{ state: 'painting', job: { kind: 'once', parameters: {} } }, Infinity],
        [{ state: 'painting', job: { kind: 'variations', parameters: {} } }, Infinity],
        [{ state: 'painting' }, 250],
        [{ state: 'idle', job: null }, Infinity],
    ];
    for (const [status, pauseMs] of cases) {
        assert.equal(plannedPauseMs(status, 4), pauseMs, JSON.stringify(status));
    }
    assert.equal(plannedPauseMs({ state: 'painting' }, 0), Infinity);
});

test('a transition shows something from its first frame on, never goes back, and ends in time', () => {
    const progress = new Progress({ kind: 'wipe', duration_s: 0.5 }, 1000);
    const amounts = [];
    for (let atMs = 1000; atMs <= 1500; atMs += 10) {
        amounts.push(progress.amountAt(atMs));
    }

    assert.ok(amounts[0] > 0 && amounts[0] < 0.05);
    assert.ok(amounts.every((amount, index) => index === 0 || amount >= amounts[index - 1]));
    assert.ok(Math.abs(progress.amountAt(1233) - 0.5) < 0.01, 'half of it in half of the time');
    assert.equal(amounts.at(-1), 1);
});

test('a machine that stalls finds the transition where it is by the clock', () => {
    const progress = new Progress({ kind: 'wipe', duration_s: 0.5 }, 1000);

    progress.amountAt(1000);

    assert.equal(progress.amountAt(9000), 1);
});

test('the longest transition shows something at once, too', () => {
    assert.ok(new Progress({ kind: 'cross-fade', duration_s: 10 }, 0).amountAt(0) >= 1 / 64);
});
