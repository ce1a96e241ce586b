import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endingOf, isWaitingForService, progressOf } from '../../../client/studio/jobs/progress.js';
import { EN } from '../../../client/studio/texts/en.js';
import { RU } from '../../../client/studio/texts/ru.js';
import { job } from './fakes.js';

test('a bar is as long as the steps that are done', () => {
    const progress = progressOf(job('a', { step: 5, total_steps: 20 }), 6000);

    assert.equal(progress.bar, 'sure');
    assert.deepEqual([progress.step, progress.total], [5, 20]);
    assert.equal(progress.key, 'progress.step');
    assert.equal(progress.elapsedMs, 5000);
    assert.equal(progress.remainingMs, 15_000);
});

test('variations are counted by pictures', () => {
    const progress = progressOf(job('a', { kind: 'variations', step: 1, total_steps: 4 }), 2000);

    assert.equal(progress.key, 'progress.picture');
    assert.deepEqual(progress.values, { step: 1, total: 4 });
});

test('a job with an end that is known counts down to it', () => {
    const progress = progressOf(job('a', { kind: 'playlist', step: 1, total_steps: 10, ends_ms: 9000 }), 6000);

    assert.equal(progress.remainingMs, 3000);
    assert.equal(progressOf(job('a', { step: 1, total_steps: 10, ends_ms: 5000 }), 6000).remainingMs, 0);
});

test('a job that waits says its place and has no bar', () => {
    const progress = progressOf(job('a', { state: 'queued', position: 3 }), 9000);

    assert.equal(progress.bar, 'none');
    assert.deepEqual(progress.values, { position: 3 });
    assert.equal(progress.elapsedMs, null);
});

test('a job whose model is being loaded moves, and nobody knows how far it is', () => {
    const progress = progressOf(job('a', { loading: 'sdxl-turbo', step: 1, total_steps: 4 }), 9000);

    assert.equal(progress.bar, 'unsure');
    assert.deepEqual(progress.values, { model: 'sdxl-turbo' });
});

test('before its first step nothing is known', () => {
    assert.equal(progressOf(job('a'), 1000).bar, 'unsure');
    assert.equal(progressOf(job('a', { step: 0, total_steps: 4 }), 1000).remainingMs, null);
});

test('what goes on until it is replaced has no bar', () => {
    for (const changes of [{ kind: 'live' }, { kind: 'ingest' }, { kind: 'playlist', parameters: { loop: true } }]) {
        assert.equal(progressOf(job('a', { step: 1, total_steps: 4, ...changes }), 1000).bar, 'none');
    }
});

test('clocks that differ give no negative times', () => {
    assert.equal(progressOf(job('a', { started_ms: 5000 }), 1000).elapsedMs, 0);
});

test('an end says its reason', () => {
    assert.deepEqual(endingOf(job('a', { state: 'failed', error: 'no memory' })), {
        key: 'ended.failed', values: { error: 'no memory' },
    });
    assert.equal(endingOf(job('a', { state: 'failed' })).key, 'ended.silent');
    assert.equal(endingOf(job('a', { state: 'cancelled', reason: 'superseded' })).key, 'ended.superseded');
    assert.deepEqual(endingOf(job('a', { state: 'cancelled', reason: 'tired' })), {
        key: 'ended.other', values: { reason: 'tired' },
    });
    assert.equal(endingOf(job('a', { state: 'succeeded' })).key, 'ended.done');
});

test('what waits for the inference service says so, and no time of painting passes', () => {
    for (const kind of ['live', 'once', 'variations']) {
        const waiting = progressOf(job('a', { kind, step: 1, total_steps: 4 }), 9000, true);

        assert.equal(waiting.key, 'progress.away');
        assert.equal(waiting.bar, 'none');
        assert.equal(waiting.elapsedMs, null);
    }
    assert.equal(progressOf(job('a', { state: 'queued' }), 9000, true).key, 'progress.queued');
    assert.notEqual(EN['progress.away'], undefined);
    assert.notEqual(RU['progress.away'], undefined);
});

test('the canvas tells whether its job waits for the service; where it cannot, the service is asked', () => {
    const away = { serving: false };
    const waits = (changes, state, service) =>
        isWaitingForService(job('a', changes), { canvases: [{ slug: 'left', state }], service });

    assert.equal(waits({ kind: 'live' }, 'unavailable', null), true);
    assert.equal(waits({ kind: 'live' }, 'painting', away), false, 'a probe that comes late tells less than a picture');
    assert.equal(waits({ kind: 'live' }, 'blank', away), true);
    assert.equal(waits({ kind: 'live' }, 'blank', { serving: true }), false);
    assert.equal(waits({ canvas: null }, 'painting', away), true);
    assert.equal(waits({ canvas: null }, 'unavailable', null), false);
    assert.equal(waits({ kind: 'test' }, 'blank', away), false, 'a test picture needs no service');
    assert.equal(waits({ state: 'queued' }, 'unavailable', away), false);
});
