import assert from 'node:assert/strict';
import test from 'node:test';

import { Alarm } from '../../../client/paint/alarm.js';
import { FakeEnvironment } from '../fakes.js';

function setUp() {
    const environment = new FakeEnvironment();
    const rung = [];
    const alarm = new Alarm(environment, (untilMs) => rung.push({ at: environment.elapsedMs, untilMs }));
    /** Let animation frames pass at this pace until an instant. */
    const refresh = (untilMs, frameMs = 1000 / 60) => {
        while (environment.elapsedMs < untilMs) {
            environment.advance(Math.min(frameMs, untilMs - environment.elapsedMs));
            environment.paint();
        }
    };
    const startMs = environment.nowMs();
    return { environment, alarm, rung, refresh, startMs };
}

test('without an instant it rings in the next animation frame', () => {
    const { environment, alarm, rung } = setUp();

    alarm.set(-Infinity);
    assert.deepEqual(rung, []);
    environment.paint();
    environment.paint();

    assert.equal(rung.length, 1);
    assert.equal(environment.timers.size, 0);
});

test('for an instant that is far away it takes no animation frames', () => {
    const { environment, alarm, startMs } = setUp();

    alarm.set(startMs + 1000);
    environment.advance(960);
    assert.equal(environment.frames.length, 0);
    environment.advance(10);

    assert.equal(environment.frames.length, 1);
});

for (const [dueMs, expectedMs] of [[508, 500], [509, 516.7], [500, 500], [492, 500], [491, 483.3]]) {
    test(`it rings in the animation frame nearest to ${dueMs} ms`, () => {
        const { alarm, rung, refresh, startMs } = setUp();

        alarm.set(startMs + dueMs);
        refresh(600);

        assert.equal(rung.length, 1);
        assert.ok(Math.abs(rung[0].at - expectedMs) < 0.1, `rung at ${rung[0].at}`);
        assert.ok(rung[0].untilMs >= startMs + dueMs);
    });
}

test('on a quick screen it waits for the frame that is nearest there', () => {
    const { alarm, rung, refresh, startMs } = setUp();
    // The first instants teach it the pace of this screen.
    for (let step = 1; step <= 20; step += 1) {
        alarm.set(startMs + step * 50);
        refresh(step * 50 + 10, 5);
    }
    rung.length = 0;

    alarm.set(startMs + 1104);
    refresh(1200, 5);

    assert.deepEqual(rung.map(({ at }) => at), [1105]);
});

test('a pause in which no animation frame was wanted says nothing of the pace', () => {
    const { environment, alarm, rung, refresh, startMs } = setUp();
    for (let step = 0; step < 20; step += 1) {
        alarm.set(-Infinity);
        environment.paint();
        environment.advance(1000 / 30);
    }
    const fromMs = environment.elapsedMs;
    rung.length = 0;

    alarm.set(startMs + fromMs + 111);
    refresh(fromMs + 200);

    assert.ok(Math.abs(rung[0].at - fromMs - 116.7) < 0.1, `rung at ${rung[0].at - fromMs}`);
});

test('another instant takes the place of the one before', () => {
    const { environment, alarm, rung, refresh, startMs } = setUp();

    alarm.set(startMs + 500);
    alarm.set(startMs + 100);
    refresh(1000);
    assert.equal(rung.length, 1);
    alarm.set(startMs + 1500);
    alarm.set(null);
    refresh(2000);

    assert.equal(rung.length, 1);
    assert.equal(environment.timers.size, 0);
});

test('one animation frame is outstanding, however often it is set', () => {
    const { environment, alarm } = setUp();

    alarm.set(-Infinity);
    alarm.set(null);
    alarm.set(-Infinity);

    assert.equal(environment.frames.length, 1);
});
