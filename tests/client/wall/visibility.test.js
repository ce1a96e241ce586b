import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';

import { Visibility, watchSight } from '../../../client/wall/visibility.js';
import { FakeEnvironment } from '../fakes.js';

function setUp(isPageVisible = true) {
    const environment = new FakeEnvironment();
    const told = [];
    const visibility = new Visibility(environment, isPageVisible, (isVisible) => told.push(isVisible));
    return { environment, told, visibility };
}

test('hiding is told after a quarter of a second, showing at once', () => {
    const { environment, told, visibility } = setUp();

    visibility.note('page', false);
    environment.advance(249);
    assert.deepEqual(told, []);
    environment.advance(1);
    assert.deepEqual(told, [false]);
    visibility.note('page', true);

    assert.deepEqual(told, [false, true]);
});

test('a tab that was only passed over is not told of', () => {
    const { environment, told, visibility } = setUp();

    visibility.note('page', false);
    environment.advance(200);
    visibility.note('page', true);
    environment.advance(1000);

    assert.deepEqual(told, []);
});

test('whatever hides it, it is visible only once nothing does', () => {
    const { environment, told, visibility } = setUp();

    visibility.note('page', false);
    visibility.note('area', false);
    visibility.note('sight', false);
    environment.advance(250);
    visibility.note('sight', true);
    visibility.note('page', true);
    assert.deepEqual(told, [false]);
    visibility.note('area', true);

    assert.deepEqual(told, [false, true]);
});

test('noting the same again does not put the telling off', () => {
    const { environment, told, visibility } = setUp();

    visibility.note('sight', false);
    environment.advance(200);
    visibility.note('sight', false);
    environment.advance(50);

    assert.deepEqual(told, [false]);
});

test('what was noted twice is not told once it is visible again', () => {
    const { environment, told, visibility } = setUp();

    visibility.note('page', false);
    visibility.note('sight', false);
    visibility.note('sight', true);
    visibility.note('page', true);
    environment.advance(1000);

    assert.deepEqual(told, []);
    assert.equal(environment.timers.size, 0);
});

test('a page that starts hidden is told of when it is shown', () => {
    const { environment, told, visibility } = setUp(false);

    environment.advance(1000);
    visibility.note('page', true);

    assert.deepEqual(told, [true]);
});

test('once it is closed nothing is told', () => {
    const { environment, told, visibility } = setUp();
    visibility.note('page', false);

    visibility.close();
    environment.advance(1000);

    assert.deepEqual(told, []);
    assert.equal(environment.timers.size, 0);
});

class FakeObserver {
    static last = null;
    observed = [];
    isDisconnected = false;

    constructor(callback) {
        this.tell = (...entries) => callback(entries);
        FakeObserver.last = this;
    }

    observe(element) {
        this.observed.push(element);
    }

    disconnect() {
        this.isDisconnected = true;
    }
}

afterEach(() => {
    delete globalThis.IntersectionObserver;
    delete globalThis.ResizeObserver;
});

test('an element that leaves the window is out of sight, as the latest entry says', () => {
    globalThis.IntersectionObserver = FakeObserver;
    const seen = [];
    const stop = watchSight('tile', (isInSight) => seen.push(isInSight));

    FakeObserver.last.tell({ isIntersecting: false });
    FakeObserver.last.tell({ isIntersecting: false }, { isIntersecting: true });
    stop();

    assert.deepEqual(seen, [false, true]);
    assert.deepEqual(FakeObserver.last.observed, ['tile']);
    assert.equal(FakeObserver.last.isDisconnected, true);
});

test('without an observer of intersections, an element without an area is out of sight', () => {
    globalThis.ResizeObserver = FakeObserver;
    const seen = [];
    watchSight('tile', (isInSight) => seen.push(isInSight));

    FakeObserver.last.tell({ contentRect: { width: 0, height: 90 } });
    FakeObserver.last.tell({ contentRect: { width: 160, height: 90 } });

    assert.deepEqual(seen, [false, true]);
});
