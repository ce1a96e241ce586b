import assert from 'node:assert/strict';
import test from 'node:test';

import { Bar, clockTime, notBelow, timesOf } from '../../../client/stage/progress.js';

const START = 1_700_000_000_000;

function job(step, fields = {}) {
    return { id: 'a', step, total_steps: 20, started_ms: START, ends_ms: null, ...fields };
}

/** Take steps that each last so long, the first one at once. */
function walked(steps, stepMs, fields = {}) {
    const bar = new Bar();
    for (let step = 0; step <= steps; step += 1) {
        bar.take(job(step, fields), START + step * stepMs, false);
    }
    return bar;
}

const near = (actual, expected) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);

test('without a total nobody knows how far it is', () => {
    const bar = new Bar();

    bar.take(job(0, { total_steps: 0 }), START, false);

    assert.equal(bar.at(START + 5000), null);
    assert.deepEqual(bar.ahead(START + 5000), []);
});

test('without a job there is no bar', () => {
    const bar = walked(3, 1000);

    bar.take(null, START + 4000, false);

    assert.equal(bar.at(START + 4000), null);
});

test('a page that comes in the middle shows the truth at once', () => {
    const bar = new Bar();

    bar.take(job(10), START + 10_000, false);

    near(bar.at(START + 10_000), 0.5);
});

test('between two steps it moves by estimate', () => {
    const bar = walked(4, 1000);

    assert.ok(bar.at(START + 4_500) > 4 / 20);
    assert.ok(bar.at(START + 4_500) < 4.9 / 20);
    near(bar.at(START + 4_900), 4.9 / 20);
});

test('it is never a whole step past the truth, however long nothing is told', () => {
    const bar = walked(4, 1000);

    for (const laterMs of [2_000, 60_000, 3_600_000]) {
        assert.ok(bar.at(START + 4_000 + laterMs) < 5 / 20);
    }
});

test('it never runs backwards, whatever the pace', () => {
    const bar = new Bar();
    let shown = 0;
    let nowMs = START;
    // Steps that come early, late, several at once, and repeated.
    for (const [step, waitedMs] of [[1, 900], [2, 100], [2, 700], [3, 4000], [7, 50], [8, 20], [9, 20], [20, 3000]]) {
        for (let part = 0; part < 10; part += 1) {
            nowMs += waitedMs / 10;
            const at = bar.at(nowMs) ?? 0;
            assert.ok(at >= shown, `${at} after ${shown}`);
            assert.ok(at <= 1);
            shown = at;
        }
        bar.take(job(step), nowMs, false);
        assert.ok((bar.at(nowMs) ?? 0) >= shown);
        assert.ok((bar.at(nowMs) ?? 0) <= (step + 1) / 20);
    }
    near(bar.at(nowMs + 1000), 1);
});

test('a clock that is set back does not move it back', () => {
    const bar = walked(4, 1000);
    const shown = bar.at(START + 4_800);

    assert.equal(bar.at(START + 4_100), shown);
    bar.take(job(4, { total_steps: 20 }), START + 4_000, true);
    assert.equal(bar.at(START + 4_000), shown);
});

test('a step that is told late is caught up with at once', () => {
    const bar = walked(2, 1000);

    bar.take(job(12), START + 3_000, false);

    assert.ok(bar.at(START + 3_000) < 4 / 20);
    assert.ok(bar.at(START + 3_200) >= 12 / 20);
});

test('steps that come fast do not leave it behind', () => {
    const bar = walked(15, 25);

    assert.ok(bar.at(START + 15 * 25) > 13.5 / 20);
});

test('the same status told again changes nothing', () => {
    const bar = walked(4, 1000);
    const before = bar.ahead(START + 4_300);

    bar.take(job(4), START + 4_300, false);

    assert.deepEqual(bar.ahead(START + 4_300), before);
});

test('while nothing goes on it does not guess', () => {
    const bar = walked(4, 1000);

    bar.take(job(4), START + 4_300, true);

    const held = bar.at(START + 4_300);
    assert.equal(bar.at(START + 60_000), held);
});

test('where the end is known its pace is the estimate', () => {
    const bar = new Bar();

    bar.take(job(0, { total_steps: 10, ends_ms: START + 100_000 }), START, false);

    near(bar.at(START + 5_000), 0.5 / 10);
});

test('another job begins anew', () => {
    const bar = walked(15, 1000);

    bar.take(job(0, { id: 'b' }), START + 15_000, false);

    near(bar.at(START + 15_000), 0);
});

test('a job that is begun anew is shown as it is', () => {
    const bar = walked(15, 1000);

    bar.take(job(1), START + 15_000, false);

    near(bar.at(START + 15_000), 1 / 20);
});

test('a total that becomes known later is no jump', () => {
    const bar = new Bar();
    bar.take(job(0, { total_steps: 0 }), START, false);

    bar.take(job(1), START + 1000, false);

    near(bar.at(START + 1000), 1 / 20);
});

test('what lies ahead begins now and ends where the estimate does', () => {
    const bar = walked(4, 1000);

    const way = bar.ahead(START + 4_500);

    assert.equal(way[0].atMs, START + 4_500);
    near(way[0].fraction, bar.at(START + 4_500));
    near(way.at(-1).fraction, 4.9 / 20);
    assert.ok(way.every((point, index) => index === 0 || point.atMs > way[index - 1].atMs));
});

test('what lies ahead of a bar at rest is where it is', () => {
    const bar = walked(4, 1000);

    assert.equal(bar.ahead(START + 60_000).length, 1);
});

test('a clock that is set right does not make the bar on the page shrink; a job begun anew does', () => {
    const way = [{ atMs: 5, fraction: 0.3 }, { atMs: 9, fraction: 0.35 }, { atMs: 20, fraction: 0.4 }];

    assert.deepEqual(notBelow(way, null), way);
    assert.deepEqual(notBelow(way, 0.2), way);
    assert.deepEqual(notBelow(way, 0.36), [{ atMs: 5, fraction: 0.36 }, { atMs: 20, fraction: 0.4 }]);
    assert.deepEqual(notBelow(way, 0.9), way);
});

test('times are those of the server, whenever one looks', () => {
    const playing = { started_ms: START, ends_ms: START + 90_000 };

    assert.deepEqual(timesOf(playing, START + 61_250), { elapsedS: 61, remainingS: 29, changesInMs: 750 });
    assert.deepEqual(timesOf(playing, START), { elapsedS: 0, remainingS: 90, changesInMs: 1000 });
});

test('remaining time ends at zero, and elapsed time goes on', () => {
    const playing = { started_ms: START, ends_ms: START + 10_000 };

    assert.deepEqual(timesOf(playing, START + 12_400), { elapsedS: 12, remainingS: 0, changesInMs: 600 });
});

test('without an end there is only elapsed time; before the start there is none of it', () => {
    const endless = { started_ms: START, ends_ms: null };

    assert.deepEqual(timesOf(endless, START + 2_500), { elapsedS: 2, remainingS: null, changesInMs: 500 });
    assert.deepEqual(timesOf(endless, START - 300), { elapsedS: 0, remainingS: null, changesInMs: 1300 });
    assert.equal(timesOf({ started_ms: null, ends_ms: null }, START), null);
});

test('times are written as clocks do', () => {
    assert.deepEqual([0, 9, 65, 3599, 3600, 3725, 360_000].map(clockTime), [
        '0:00',
        '0:09',
        '1:05',
        '59:59',
        '1:00:00',
        '1:02:05',
        '100:00:00',
    ]);
});
