import assert from 'node:assert/strict';
import test from 'node:test';

import { SILENCE } from '../../../client/sound/features.js';
import { Pacer } from '../../../client/sound/pacer.js';

class FakeClock {
    elapsedMs = 0;
    timers = [];
    nowMs = () => this.elapsedMs;
    setTimer = (callback, delayMs) => this.timers.push({ callback, delayMs });
}

const LOUD = { ...SILENCE, level: 0.5, low: 0.25 };

function paced() {
    const clock = new FakeClock();
    const sent = [];
    const pacer = new Pacer((message) => sent.push({ atMs: clock.elapsedMs, ...message }), clock);
    const hear = (features, forMs, stepMs = 20) => {
        for (let waitedMs = 0; waitedMs < forMs; waitedMs += stepMs) {
            clock.elapsedMs += stepMs;
            pacer.offer(features);
        }
    };
    return { clock, pacer, sent, hear };
}

for (const stepMs of [1, 7, 20, 33]) {
    test(`heard every ${stepMs} ms, it tells at most 20 times a second and never twice within 50 ms`, () => {
        const { sent, hear } = paced();

        hear(LOUD, 10_000, stepMs);

        assert.ok(sent.length <= 201 && sent.length > 120, `${sent.length} messages`);
        assert.ok(sent.every(({ atMs }, index) => index === 0 || atMs - sent[index - 1].atMs >= 50));
    });
}

test('a page that is held up while it sends does not send the next one sooner', () => {
    const clock = new FakeClock();
    const sent = [];
    const pacer = new Pacer(() => {
        clock.elapsedMs += 15;
        sent.push(clock.elapsedMs);
    }, clock);

    for (; clock.elapsedMs < 1000; clock.elapsedMs += 1) {
        pacer.offer(LOUD);
    }

    assert.ok(sent.every((atMs, index) => index === 0 || atMs - sent[index - 1] >= 50), String(sent));
});

test('a page that hung for seconds sends no burst', () => {
    const { clock, pacer, sent, hear } = paced();
    hear(LOUD, 1000);
    const before = sent.length;

    clock.elapsedMs += 5000;
    for (let index = 0; index < 100; index += 1) {
        pacer.offer(LOUD);
    }

    assert.equal(sent.length, before + 1);
});

test('nothing is sent while it is silent', () => {
    const { sent, hear } = paced();

    hear(SILENCE, 5000);

    assert.deepEqual(sent, []);
});

test('what falls silent is told once, with zeros, and then no more', () => {
    const { sent, hear } = paced();
    hear(LOUD, 200);
    const before = sent.length;

    hear(SILENCE, 5000);

    assert.equal(sent.length, before + 1);
    const { atMs, ...last } = sent.at(-1);
    assert.ok(atMs > 0);
    assert.deepEqual(last, { type: 'audio', level: 0, low: 0, mid: 0, high: 0, onset: 0, beat: 0 });
});

test('a pulse between two messages is held for the next', () => {
    const { pacer, clock, sent } = paced();
    pacer.offer(LOUD);

    clock.elapsedMs += 20;
    pacer.offer({ ...LOUD, beat: 1, onset: 0.75 });
    clock.elapsedMs += 40;
    pacer.offer({ ...LOUD, beat: 0.1, onset: 0.1, level: 0.25 });
    clock.elapsedMs += 60;
    pacer.offer(LOUD);

    assert.deepEqual(sent.map(({ beat, onset, level }) => [beat, onset, level]), [
        [0, 0, 0.5],
        [1, 0.75, 0.25],
        [0, 0, 0.5],
    ]);
});

test('numbers have three digits, and a tempo one', () => {
    const { pacer, sent } = paced();

    pacer.offer({ ...SILENCE, level: 1 / 3, high: 2 / 3, tempo_bpm: 119.96 });

    const { level, high, tempo_bpm } = sent[0];
    assert.deepEqual({ level, high, tempo_bpm }, { level: 0.333, high: 0.667, tempo_bpm: 120 });
});

test('whoever switches off tells zeros in their turn', () => {
    const { clock, pacer, sent } = paced();
    pacer.offer(LOUD);
    clock.elapsedMs += 10;

    pacer.silence();
    assert.equal(sent.length, 1);
    assert.equal(clock.timers[0].delayMs, 40);
    clock.elapsedMs += 40;
    clock.timers[0].callback();

    assert.equal(sent.length, 2);
    assert.equal(sent[1].level, 0);
});

test('whoever switches off in silence tells nothing', () => {
    const { clock, pacer, sent } = paced();

    pacer.silence();
    clock.timers[0].callback();

    assert.deepEqual(sent, []);
});
