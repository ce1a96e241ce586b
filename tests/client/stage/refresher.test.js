import assert from 'node:assert/strict';
import test from 'node:test';

import { Refresher } from '../../../client/stage/refresher.js';
import { FakeEnvironment } from '../fakes.js';

function setUp(changesInMs = Infinity) {
    const environment = new FakeEnvironment();
    const state = { shown: [], changesInMs };
    const refresher = new Refresher(environment, () => {
        state.shown.push(environment.elapsedMs);
        return state.changesInMs;
    });
    return { environment, state, refresher };
}

test('a change is written at once', () => {
    const { state, refresher } = setUp();

    refresher.changed();

    assert.deepEqual(state.shown, [0]);
});

test('many changes are written ten times a second, the last one too', () => {
    const { environment, state, refresher } = setUp();

    for (let index = 0; index < 100; index += 1) {
        refresher.changed();
        environment.advance(5);
    }
    environment.advance(1000);

    assert.deepEqual(state.shown, [0, 100, 200, 300, 400, 500]);
});

test('without a change and a time there is no timer', () => {
    const { environment, refresher } = setUp();

    refresher.changed();

    assert.equal(environment.timers.size, 0);
});

test('a time on it has it written again when that changes', () => {
    const { environment, state, refresher } = setUp(1000);

    refresher.changed();
    environment.advance(3500);

    assert.equal(state.shown.length, 4);
    assert.equal(environment.timers.size, 1);
});

test('it closes with its timer', () => {
    const { environment, refresher } = setUp(1000);
    refresher.changed();

    refresher.close();

    assert.equal(environment.timers.size, 0);
});
