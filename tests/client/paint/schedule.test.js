import assert from 'node:assert/strict';
import test from 'node:test';

import { Schedule, dueMsOf } from '../../../client/paint/schedule.js';

/** Add things named by their order, each due at its instant; give what was lost. */
function fill(schedule, dues, bytes = 1) {
    return dues.flatMap((dueMs, order) => schedule.add({ thing: order, order, dueMs, bytes }));
}

test('an instant on the server’s clock is found on this one', () => {
    assert.equal(dueMsOf(5_300, 300, 4_900), 5_000);
});

for (const [what, presentAtMs, offsetMs] of [
    ['without an instant', undefined, 0],
    ['whose instant is nothing', null, 0],
    ['before the server’s clock is known', 6_000, null],
    ['whose instant has passed', 4_999, 0],
    ['whose instant is further away than any delay', 20_001, 0],
]) {
    test(`a frame ${what} is shown at once`, () => {
        assert.equal(dueMsOf(presentAtMs, offsetMs, 5_000), -Infinity);
    });
}

test('nothing is taken before it is due, and each in its turn', () => {
    const schedule = new Schedule();
    fill(schedule, [100, 140]);

    assert.equal(schedule.take(99).thing, null);
    assert.equal(schedule.firstDueMs, 100);
    assert.equal(schedule.take(100).thing, 0);
    assert.equal(schedule.take(139).thing, null);
    assert.equal(schedule.take(140).thing, 1);
    assert.equal(schedule.firstDueMs, null);
});

test('of several that are due the newest wins, and the others are handed back', () => {
    const schedule = new Schedule();
    fill(schedule, [100, 140, 180, 220]);

    assert.deepEqual(schedule.take(190), { thing: 2, overtaken: [0, 1] });
    assert.equal(schedule.count, 1);
});

test('ahead of their instants things are taken one by one, in order', () => {
    const schedule = new Schedule();
    fill(schedule, [100, 140, 180]);

    assert.deepEqual(schedule.take(50, 150), { thing: 0, overtaken: [] });
    assert.deepEqual(schedule.take(50, 150), { thing: 1, overtaken: [] });
    assert.deepEqual(schedule.take(50, 150), { thing: null, overtaken: [] });
});

test('a newer one overtakes every older one that would be due no earlier', () => {
    const schedule = new Schedule();

    assert.deepEqual(fill(schedule, [100, 140, 180, 140]), [1, 2]);
    assert.deepEqual([schedule.take(100).thing, schedule.take(140).thing], [0, 3]);
});

test('one that is to be shown at once overtakes all', () => {
    const schedule = new Schedule();

    assert.deepEqual(fill(schedule, [100, 140, -Infinity]), [0, 1]);
    assert.equal(schedule.take(0).thing, 2);
});

test('one that comes late takes its place, unless a newer one is due by then', () => {
    const schedule = new Schedule();
    schedule.add({ thing: 'new', order: 2, dueMs: 140, bytes: 1 });

    assert.deepEqual(schedule.add({ thing: 'old', order: 1, dueMs: 100, bytes: 1 }), []);
    assert.deepEqual(schedule.add({ thing: 'older', order: 0, dueMs: 150, bytes: 1 }), ['older']);
    assert.deepEqual([schedule.take(100).thing, schedule.take(140).thing], ['old', 'new']);
});

test('without room it thins out evenly, and keeps the first and the newest', () => {
    const schedule = new Schedule(5);
    const dues = Array.from({ length: 9 }, (_, order) => order * 40);

    const lost = fill(schedule, dues);

    assert.equal(schedule.count, 5);
    assert.equal(lost.length, 4);
    const kept = schedule.clear();
    assert.deepEqual([kept[0], kept.at(-1)], [0, 8]);
    kept.slice(1).forEach((order, index) => assert.ok(order - kept[index] <= 3, `a gap in ${kept}`));
});

test('more than it has room for does not keep the first from being due', () => {
    const schedule = new Schedule(Infinity, 10);
    const shown = [];

    for (let order = 0; order < 200; order += 1) {
        const nowMs = order * 40;
        schedule.add({ thing: order, order, dueMs: nowMs + 1000, bytes: 1 });
        const { thing } = schedule.take(nowMs);
        if (thing !== null) {
            shown.push(thing);
        }
    }

    assert.ok(shown.length > 50, `only ${shown.length} of 200 were shown`);
});

test('it is bounded in bytes, and the newest is kept whatever it occupies', () => {
    const schedule = new Schedule(Infinity, 10);
    fill(schedule, [100, 140, 180], 4);
    assert.equal(schedule.count, 2);

    schedule.add({ thing: 'large', order: 9, dueMs: 220, bytes: 50 });
    assert.deepEqual([schedule.count, schedule.take(220).thing], [1, 'large']);

    fill(schedule, [300, 340], 4);
    assert.equal(schedule.count, 2, 'what was taken occupies nothing');
});

test('what is taken away leaves room', () => {
    const schedule = new Schedule(Infinity, 10);
    fill(schedule, [100, 140], 5);

    assert.deepEqual(schedule.clear(), [0, 1]);
    assert.equal(schedule.firstDueMs, null);
    assert.deepEqual(fill(schedule, [100, 140], 5), []);
});
