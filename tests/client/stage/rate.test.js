import assert from 'node:assert/strict';
import test from 'node:test';

import { FrameRate, RateTold, rateText } from '../../../client/stage/rate.js';
import { FakeEnvironment } from '../fakes.js';

function shownEvery(intervalMs, count) {
    const rate = new FrameRate();
    for (let index = 0; index < count; index += 1) {
        rate.note(index * intervalMs);
    }
    return rate;
}

test('a steady picture has its rate', () => {
    assert.equal(shownEvery(250, 40).at(39 * 250), 4);
    assert.equal(Math.round(shownEvery(1000 / 30, 200).at(199 * (1000 / 30))), 30);
});

test('slow pictures have a rate, too, between one and the next', () => {
    const rate = shownEvery(5000, 4);

    assert.equal(rate.at(15_000), 0.2);
    assert.equal(rate.at(19_900), 0.2);
});

test('one picture is no rate, and pictures that have stopped have none any more', () => {
    assert.equal(shownEvery(250, 1).at(0), 0);
    assert.equal(shownEvery(250, 40).at(39 * 250 + 1600), 0);
    assert.equal(new FrameRate().at(5), 0);
});

test('after a rest the new rate counts, not the pause', () => {
    const rate = shownEvery(250, 40);
    for (let index = 0; index < 4; index += 1) {
        rate.note(600_000 + index * 500);
    }

    assert.equal(rate.at(601_500), 2);
});

test('rates are written short', () => {
    const told = [0.2, 4, 9.94, 9.96, 29.7].map((fps) => rateText(fps, 'FPS'));
    assert.deepEqual(told, ['0.2 FPS', '4.0 FPS', '9.9 FPS', '10 FPS', '30 FPS']);
});

test('where no pictures come there is no figure to show', () => {
    assert.equal(rateText(0, 'FPS'), '');
});

test('it is told once a second while pictures come, and then no more', () => {
    const environment = new FakeEnvironment();
    const told = [];
    const rate = new RateTold(environment, (fps) => told.push(fps));

    for (let index = 0; index < 8; index += 1) {
        rate.note();
        environment.advance(250);
    }
    assert.deepEqual(told, [0, 4, 4]);
    environment.advance(60_000);

    assert.deepEqual(told, [0, 4, 4, 4, 0]);
    assert.equal(environment.timers.size, 0);
});
