import assert from 'node:assert/strict';
import test, { afterEach, beforeEach, mock } from 'node:test';

import { browser } from '../../../client/stream/environment.js';

/** Animation frames that come when told. */
let frames;

beforeEach(() => {
    frames = new Map();
    globalThis.requestAnimationFrame = (callback) => {
        frames.set(frames.size + 1, callback);
        return frames.size;
    };
    globalThis.cancelAnimationFrame = (handle) => frames.delete(handle);
    mock.timers.enable({ apis: ['setTimeout'] });
});

afterEach(() => {
    mock.timers.reset();
    delete globalThis.requestAnimationFrame;
    delete globalThis.cancelAnimationFrame;
});

function paint() {
    [...frames.values()].forEach((callback) => callback());
}

test('an animation frame calls back once, and no timer does after it', () => {
    let called = 0;
    browser.requestFrame(() => {
        called += 1;
    });

    mock.timers.tick(400);
    assert.equal(called, 0);
    paint();
    mock.timers.tick(10_000);

    assert.equal(called, 1);
});

test('a browser that draws no frames calls back all the same, and not again when it does', () => {
    let called = 0;
    browser.requestFrame(() => {
        called += 1;
    });

    mock.timers.tick(500);
    assert.equal(called, 1);
    paint();

    assert.equal(called, 1);
});

test('a worker without animation frames paints at a screen’s pace', () => {
    delete globalThis.requestAnimationFrame;
    let called = 0;
    browser.requestFrame(() => {
        called += 1;
    });

    mock.timers.tick(15);
    assert.equal(called, 0);
    mock.timers.tick(10_000);

    assert.equal(called, 1);
});
