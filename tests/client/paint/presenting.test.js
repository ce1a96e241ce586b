/** The painter with frames that have an instant: several screens show them at the same moment. */

import assert from 'node:assert/strict';
import test from 'node:test';

import { Decoder } from '../../../client/paint/decoder.js';
import { Painter } from '../../../client/paint/painter.js';
import { FakeEnvironment, frame } from '../fakes.js';

const FRAME_MS = 1000 / 60;
// What the server is ahead of this browser.
const OFFSET_MS = 250;

function setUp(clock = { offsetMs: OFFSET_MS }) {
    const environment = new FakeEnvironment();
    const counts = { created: 0, closed: 0 };
    const decoder = new Decoder(environment, (changed) => Object.assign(counts, changed));
    const drawn = [];
    const presented = [];
    const acks = [];
    const painter = new Painter(decoder, environment, {
        draw: (_, { sequence }) => drawn.push({ sequence, atMs: environment.elapsedMs }),
        onPresented: ({ sequence }, presentedMs) => presented.push({ sequence, presentedMs }),
        offsetMs: () => clock.offsetMs,
    });
    /** Offer a frame that is to be shown so many milliseconds after the start. */
    const offer = (sequence, atMs, fields = {}) =>
        painter.offer(
            frame(sequence, { present_at_ms: 1_000_000 + OFFSET_MS + atMs, ...fields }),
            (timings) => acks.push({ sequence, ...timings }),
        );
    /** Let animation frames pass until an instant; every decode takes as long as one of them. */
    const pass = async (untilMs) => {
        while (environment.elapsedMs < untilMs) {
            environment.advance(Math.min(FRAME_MS, untilMs - environment.elapsedMs));
            while (environment.decodes.length > 0) {
                await environment.finishDecode();
            }
            environment.paint();
        }
    };
    const sequences = () => drawn.map(({ sequence }) => sequence);
    return { environment, counts, drawn, presented, acks, painter, offer, pass, sequences };
}

test('a frame is drawn in the animation frame nearest to its instant, and acknowledged then', async () => {
    const { drawn, acks, presented, offer, pass } = setUp();

    offer(1, 200);
    await pass(180);
    assert.deepEqual([drawn, acks], [[], []]);
    await pass(400);

    assert.deepEqual(drawn.map(({ sequence }) => sequence), [1]);
    assert.ok(Math.abs(drawn[0].atMs - 200) <= FRAME_MS / 2 + 0.1, `drawn at ${drawn[0].atMs}`);
    assert.deepEqual(presented, [{ sequence: 1, presentedMs: 1_000_000 + drawn[0].atMs }]);
    const { received_ms, decoded_ms, presented_ms, skipped } = acks[0];
    assert.deepEqual([received_ms, presented_ms, skipped], [1_000_000, presented[0].presentedMs, 0]);
    assert.ok(decoded_ms > received_ms && decoded_ms < presented_ms);
});

test('a frame that has long to wait is acknowledged when it comes, and again when it is presented', async () => {
    const { acks, offer, pass } = setUp();

    offer(1, 251);
    offer(2, 1000);
    assert.deepEqual(acks, [1, 2].map((sequence) => ({
        sequence, received_ms: 1_000_000, decoded_ms: undefined, presented_ms: undefined, skipped: 0,
    })));
    await pass(1100);

    assert.deepEqual(acks.slice(2).map(({ sequence }) => sequence), [1, 2]);
    assert.ok(acks.slice(2).every(({ presented_ms }) => presented_ms > 1_000_240));
});

test('a stream is shown in full, each frame at its instant', async () => {
    const { environment, drawn, acks, counts, offer, pass, sequences } = setUp();

    for (let sequence = 0; sequence < 50; sequence += 1) {
        offer(sequence, environment.elapsedMs + 200);
        await pass(environment.elapsedMs + 40);
    }
    await pass(environment.elapsedMs + 300);

    assert.deepEqual(sequences(), Array.from({ length: 50 }, (_, sequence) => sequence));
    assert.equal(acks.reduce((sum, { skipped }) => sum + skipped, 0), 0);
    const lateMs = drawn.map(({ sequence, atMs }) => Math.abs(atMs - (sequence * 40 + 200)));
    assert.ok(Math.max(...lateMs) <= FRAME_MS, `late by ${Math.max(...lateMs)}`);
    assert.deepEqual(counts, { created: 50, closed: 50 });
});

test('a frame is decoded shortly before its instant, not when it comes', () => {
    const { environment, offer } = setUp();

    offer(1, 3000);
    assert.equal(environment.decodes.length, 0);
    environment.advance(2000);
    assert.equal(environment.decodes.length, 0);
    environment.advance(990);

    assert.equal(environment.decodes.length, 1);
});

test('slow decodes begin earlier', async () => {
    const { environment, offer } = setUp();
    offer(1, -1);
    environment.advance(150);
    await environment.finishDecode();
    environment.paint();

    offer(2, 1000);
    environment.advance(1000 - 150 - 390);
    assert.equal(environment.decodes.length, 0);
    environment.advance(20);

    assert.equal(environment.decodes.length, 1);
});

test('only a few bitmaps are decoded ahead', async () => {
    const { environment, counts, offer } = setUp();
    for (let sequence = 0; sequence < 20; sequence += 1) {
        offer(sequence, 70 + sequence);
    }

    while (environment.decodes.length > 0) {
        await environment.finishDecode();
    }

    assert.deepEqual(counts, { created: 4, closed: 0 });
});

test('a clock that is known better by then moves what waits', async () => {
    const clock = { offsetMs: OFFSET_MS + 100 };
    const { drawn, offer, pass } = setUp(clock);
    offer(1, 300);

    await pass(50);
    clock.offsetMs = OFFSET_MS;
    await pass(600);

    assert.ok(Math.abs(drawn[0].atMs - 300) <= FRAME_MS, `drawn at ${drawn[0].atMs}`);
});

test('whoever returns sees what waited, before its instant', async () => {
    const { environment, painter, offer, pass, sequences } = setUp();
    offer(1, 2000);
    offer(2, 3000);

    painter.setVisible(false);
    environment.advance(100);
    painter.setVisible(true);
    await pass(150);

    assert.deepEqual(sequences(), [2]);
});

test('when several are due the newest is drawn and the others count as skipped', async () => {
    const { environment, drawn, acks, counts, offer, pass } = setUp();
    offer(1, 100);
    offer(2, 110);
    offer(3, 120);
    // The machine was busy.
    environment.advance(300);
    await pass(400);

    assert.equal(drawn.at(-1).sequence, 3);
    assert.equal(acks.reduce((sum, { skipped }) => sum + skipped, 0) + drawn.length, 3);
    assert.equal(counts.created, counts.closed);
});

test('a newer frame without an instant is shown at once, and no older one after it', async () => {
    const { offer, pass, sequences } = setUp();
    offer(1, 300);
    offer(2, 340);
    offer(3, 0, { present_at_ms: undefined });

    await pass(600);

    assert.deepEqual(sequences(), [3]);
});

test('an older frame that is decoded late is shown no more', async () => {
    const { environment, offer, counts, sequences, pass } = setUp();
    offer(1, 50);
    offer(2, 60);
    await environment.finishDecode(1);
    environment.advance(100);
    environment.paint();
    await environment.finishDecode(0);
    await pass(300);

    assert.deepEqual(sequences(), [2]);
    assert.deepEqual(counts, { created: 2, closed: 2 });
});

test('while the server’s clock is unknown frames are shown as they come', async () => {
    const { offer, pass, sequences } = setUp({ offsetMs: null });

    offer(1, 5000);
    await pass(40);

    assert.deepEqual(sequences(), [1]);
});

test('hiding acknowledges the newest first and keeps it for whoever returns, at once', async () => {
    const { environment, acks, counts, painter, offer, pass, sequences } = setUp();
    offer(1, 60);
    await environment.finishDecode();
    [2, 3, 4].forEach((sequence) => offer(sequence, 200 + sequence));

    painter.setVisible(false);
    assert.deepEqual(acks.map(({ sequence }) => sequence), [4, 3, 2, 1]);
    assert.equal(environment.timers.size, 0);
    offer(5, 3000);
    assert.equal(acks.at(-1).sequence, 5);
    painter.setVisible(true);
    await pass(40);

    assert.equal(sequences().at(-1), 5);
    assert.equal(acks.length, 5, 'each was acknowledged once');
    assert.equal(acks.reduce((sum, { skipped }) => sum + skipped, 0), 0);
    assert.equal(counts.created, counts.closed);
});

test('a refinement, which has the sequence of what is shown, is drawn and acknowledged', async () => {
    const { acks, offer, pass, sequences } = setUp();
    offer(7, -100);
    await pass(40);

    offer(7, -100, { tier: 'jpeg-100-90' });
    await pass(80);

    assert.deepEqual(sequences(), [7, 7]);
    assert.deepEqual(acks.map(({ sequence, skipped }) => [sequence, skipped]), [[7, 0], [7, 0]]);
});

test('a closed painter leaves no timer and no bitmap', async () => {
    const { environment, counts, painter, offer } = setUp();
    offer(1, 60);
    offer(2, 2000);
    await environment.finishDecode();

    painter.close();

    assert.equal(environment.timers.size, 0);
    assert.deepEqual(counts, { created: 1, closed: 1 });
});

/** A small generator of numbers from 0 to 1, the same in every run (mulberry32). */
function randomFrom(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

/** Do something at random to a painter: frames come, decodes end, time passes, the page is hidden or shown. */
async function stir({ environment, painter, offer }, random, sequence) {
    const dice = random();
    if (dice < 0.4) {
        const instant = random() < 0.3 ? { present_at_ms: undefined } : {};
        offer(sequence, environment.elapsedMs - 50 + random() * 400, instant);
        return sequence + 1;
    }
    if (dice < 0.6 && environment.decodes.length > 0) {
        await environment.finishDecode(Math.floor(random() * environment.decodes.length));
    } else if (dice < 0.65 && environment.decodes.length > 0) {
        await environment.failDecode();
    } else if (dice < 0.7) {
        painter.setVisible(random() < 0.6);
    } else if (dice < 0.75) {
        painter.repaint();
    } else {
        environment.advance(random() * 60);
        environment.paint();
    }
    return sequence;
}

for (let seed = 1; seed <= 100; seed += 1) {
    test(`whatever happens, the newest is shown in the end and nothing is left over (${seed})`, async () => {
        const scene = setUp();
        const { environment, painter, offer, pass, acks, counts, sequences } = scene;
        const random = randomFrom(seed);
        let sequence = 1;
        for (let step = 0; step < 300; step += 1) {
            sequence = await stir(scene, random, sequence);
            assert.ok(counts.created - counts.closed <= 6, 'few bitmaps at a time');
        }

        painter.setVisible(true);
        offer(sequence, environment.elapsedMs + 300);
        await pass(environment.elapsedMs + 1000);

        const drawn = sequences();
        assert.equal(drawn.at(-1), sequence);
        assert.ok(drawn.every((one, index) => index === 0 || drawn[index - 1] <= one), 'none after a newer one');
        assert.equal(acks.at(-1).sequence, sequence);
        const presented = acks.filter(({ presented_ms }) => presented_ms !== undefined);
        assert.equal(new Set(presented.map((ack) => ack.sequence)).size, presented.length, 'none presented twice');
        assert.equal(counts.created, counts.closed);
        assert.deepEqual([environment.timers.size, environment.frames.length], [0, 0]);
    });
}
