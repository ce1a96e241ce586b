import assert from 'node:assert/strict';
import test from 'node:test';

import { FiguresKeeper, STAGES } from '../../../client/screen/figures.js';
import { HELLO, frame } from '../fakes.js';

// This browser's clock is behind the server's.
const OFFSET_MS = 1000;
const CLOCK = { offset_ms: OFFSET_MS, rtt_ms: 12 };

/** A frame finished at this instant of this browser's clock, and its stages in milliseconds. */
function taken(sequence, finishedMs, { publish = 1, encode = 4, network = 10, decode = 7, present = 8 } = {}) {
    const published = finishedMs + OFFSET_MS + publish;
    const received_ms = finishedMs + publish + encode + network;
    const decoded_ms = received_ms + decode;
    return {
        frame: frame(sequence, {
            timestamp_ms: finishedMs + OFFSET_MS,
            published_ms: published,
            stages: { painted: finishedMs + OFFSET_MS, published, encoded: published + encode },
            image: new Uint8Array(1000),
        }),
        timings: { received_ms, decoded_ms, presented_ms: decoded_ms + present, skipped: 0 },
    };
}

function setUp() {
    const figures = new FiguresKeeper();
    figures.greet({ ...HELLO, server_time_ms: 4000 });
    const show = (sequence, finishedMs, stages) => {
        const { frame: one, timings } = taken(sequence, finishedMs, stages);
        figures.received(one, timings.received_ms);
        figures.acknowledged(one, timings, OFFSET_MS);
    };
    return { figures, show };
}

test('before the first frame nothing is claimed', () => {
    assert.deepEqual(new FiguresKeeper().read(0, null), {
        fps: 0,
        age_ms: null,
        stages_ms: {},
        tier: null,
        size: null,
        rtt_ms: null,
        offset_error_ms: null,
        bytes_per_s: 0,
        drops: { skipped: 0, corrupt: 0, missed: 0, hidden: 0 },
    });
});

test('an age is told by stages that add up to it', () => {
    const { figures, show } = setUp();
    show(1, 10_000);

    const { age_ms, stages_ms, rtt_ms, offset_error_ms } = figures.read(10_040, CLOCK);

    assert.deepEqual(age_ms, { p50: 30, p95: 30 });
    assert.deepEqual(stages_ms, { publish: 1, encode: 4, network: 10, decode: 7, present: 8 });
    assert.deepEqual(Object.keys(stages_ms), STAGES);
    assert.deepEqual([rtt_ms, offset_error_ms], [12, 6]);
});

test('the stages of uneven frames add up to the median age, too', () => {
    const { figures, show } = setUp();
    const slow = ['network', 'decode', 'present', 'encode', 'network', 'decode', 'publish'];
    slow.forEach((stage, index) => show(index + 1, 10_000 + 100 * index, { [stage]: 90 + 7 * index }));

    const { age_ms, stages_ms } = figures.read(10_900, CLOCK);

    const sum = Object.values(stages_ms).reduce((total, ms) => total + ms, 0);
    assert.ok(Math.abs(sum - age_ms.p50) < 1e-6, `${sum} of ${age_ms.p50}`);
    assert.ok(age_ms.p95 > age_ms.p50);
});

test('stages that are mostly nothing still add up', () => {
    const { figures, show } = setUp();
    const none = { publish: 0, encode: 0, network: 0, decode: 0, present: 0 };
    STAGES.forEach((stage, index) => show(index + 1, 10_000 + 100 * index, { ...none, [stage]: 20 }));

    const { age_ms, stages_ms } = figures.read(10_900, CLOCK);

    assert.equal(age_ms.p50, 20);
    assert.deepEqual(Object.values(stages_ms), [4, 4, 4, 4, 4]);
});

test('a clock that is wrong makes no stage less than nothing', () => {
    const { figures } = setUp();
    const { frame: one, timings } = taken(1, 10_000);

    figures.acknowledged(one, timings, OFFSET_MS - 50);

    const { age_ms, stages_ms } = figures.read(10_040, CLOCK);
    assert.equal(stages_ms.network, 0);
    assert.equal(age_ms.p50, 20);
});

test('without stages of the server nothing counts as encoding, and it waits in the network', () => {
    const { figures } = setUp();
    const { frame: one, timings } = taken(1, 10_000);

    figures.acknowledged({ ...one, stages: undefined }, timings, OFFSET_MS);

    const { stages_ms } = figures.read(10_040, CLOCK);
    assert.deepEqual(stages_ms, { publish: 1, encode: 0, network: 14, decode: 7, present: 8 });
});

test('a rendition that was there before the frame took no time to encode', () => {
    const { figures } = setUp();
    const { frame: one, timings } = taken(1, 10_000);
    one.stages.encoded = one.stages.published - 5000;

    figures.acknowledged(one, timings, OFFSET_MS);

    assert.equal(figures.read(10_040, CLOCK).stages_ms.encode, 0);
    assert.equal(figures.read(10_040, CLOCK).age_ms.p50, 30);
});

test('while no clock is known there are frames, but no ages', () => {
    const { figures } = setUp();
    const { frame: one, timings } = taken(1, 10_000);

    figures.acknowledged(one, timings, null);

    const { fps, age_ms, stages_ms, offset_error_ms } = figures.read(10_040, null);
    assert.deepEqual([fps, age_ms, stages_ms, offset_error_ms], [1, null, {}, null]);
});

test('frames and bytes are those of the last second', () => {
    const { figures, show } = setUp();
    // A burst a while ago, then four a second.
    for (let index = 0; index < 20; index += 1) {
        show(index + 1, 5000 + index);
    }
    for (let index = 0; index < 8; index += 1) {
        show(21 + index, 10_000 + 250 * index);
    }

    const { fps, bytes_per_s } = figures.read(11_900, CLOCK);
    assert.deepEqual([fps, bytes_per_s], [4, 4000]);
    assert.deepEqual([figures.read(60_000, CLOCK).fps, figures.read(60_000, CLOCK).bytes_per_s], [0, 0]);
    assert.equal(figures.read(60_000, CLOCK).age_ms, null, 'an age of long ago says nothing of now');
});

test('gaps are frames that never came; the same one in a better tier is none', () => {
    const { figures, show } = setUp();
    [5, 6, 9, 9, 10].forEach((sequence, index) => show(sequence, 10_000 + 100 * index));

    const { drops, fps } = figures.read(10_500, CLOCK);

    assert.equal(drops.missed, 2);
    assert.equal(fps, 4, 'and no other picture');
});

test('a refinement does not count as old as the picture has rested', () => {
    const { figures, show } = setUp();
    show(1, 10_000);
    const { frame: one, timings } = taken(1, 10_000, { network: 5000 });

    figures.received(one, timings.received_ms);
    figures.acknowledged(one, timings, OFFSET_MS);

    assert.equal(figures.read(15_100, CLOCK).age_ms.p95, 30);
});

test('a new incarnation of the canvas begins anew, the same one goes on', () => {
    const { figures, show } = setUp();
    show(50, 10_000);
    figures.greet(HELLO);
    show(53, 10_100);
    figures.greet({ ...HELLO, epoch: 'second' });
    show(1, 10_200);
    show(90, 10_300);

    assert.equal(figures.read(10_400, CLOCK).drops.missed, 2 + 88);
});

test('what nobody could see is hidden, not missed', () => {
    const { figures, show } = setUp();
    show(1, 10_000);
    figures.setVisible(false);
    const { frame: one, timings } = taken(2, 10_100);
    figures.received(one, timings.received_ms);
    figures.acknowledged(one, { received_ms: timings.received_ms, skipped: 0 }, OFFSET_MS);
    figures.setVisible(true);
    show(10, 20_000);
    show(12, 20_100);

    const { drops } = figures.read(20_200, CLOCK);
    assert.deepEqual([drops.hidden, drops.missed], [8, 1]);
});

test('a picture that rested before the screen was there, or before anybody looked, has no age', () => {
    const { figures, show } = setUp();
    show(1, 2000, { network: 3000 });
    assert.deepEqual([figures.read(5100, CLOCK).fps, figures.read(5100, CLOCK).age_ms], [1, null]);

    show(2, 6000);
    figures.setVisible(false);
    figures.setVisible(true);
    show(9, 7000, { network: 3000 });
    show(10, 10_100);

    assert.deepEqual(figures.read(10_200, CLOCK).age_ms, { p50: 30, p95: 30 });
});

test('skipped and corrupt frames are counted', () => {
    const { figures } = setUp();
    const { frame: one, timings } = taken(7, 10_000);

    figures.corrupt();
    figures.acknowledged(one, { ...timings, skipped: 3 }, OFFSET_MS);

    const { drops } = figures.read(10_100, CLOCK);
    assert.deepEqual([drops.skipped, drops.corrupt], [3, 1]);
});

test('a frame that is acknowledged before it is shown counts once', () => {
    const { figures } = setUp();
    const { frame: one, timings } = taken(7, 10_000);

    figures.acknowledged(one, { received_ms: timings.received_ms, skipped: 0 }, OFFSET_MS);
    figures.acknowledged(one, timings, OFFSET_MS);

    const { drops, fps } = figures.read(10_100, CLOCK);
    assert.deepEqual([drops.hidden, fps], [0, 1]);
});

test('what is kept is bounded', () => {
    const { figures, show } = setUp();
    for (let index = 0; index < 5000; index += 1) {
        show(index + 1, 10_000 + index / 100);
    }

    assert.ok(figures.read(10_070, CLOCK).fps <= 256);
});
