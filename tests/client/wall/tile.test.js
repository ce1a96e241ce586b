/** What a tile shows: its place, its captions, and what it says of its canvas. */

import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import { FakeElement } from './fakes.js';
import { HD, PLACE, greet, report, setUp, wholly } from './tiles.js';

beforeEach(() => {
    globalThis.document = { createElement: (name) => new FakeElement(name) };
});

afterEach(() => {
    delete globalThis.document;
});

test('the canvas is opened with what the page wants of it', () => {
    const { screen, canvas } = setUp({ maxFps: 0, fit: 'cover' });

    assert.equal(screen.canvas, canvas);
    assert.equal(screen.opened, 1);
    assert.deepEqual(screen.options, {
        slug: 'left',
        url: 'ws://wall.test/ws/left',
        isVisible: true,
        maxFps: 0,
        fit: 'cover',
        background: '#050507',
        isSmooth: true,
    });
});

test('the tile covers its place in CSS pixels, and its screen in the screen’s own', () => {
    const { section, screen } = setUp();

    assert.deepEqual(section.style, { left: '10px', top: '0px', width: '500px', height: '500px' });
    assert.deepEqual(screen.hung, [
        { place: { width: 1000, height: 1000 }, view: { x: 0, y: 0, width: 1000, height: 1000 } },
    ]);
});

test('a place that reaches beyond this screen shows the part that lies on it', () => {
    const whole = { x: -400, y: 100, width: 1200, height: 600 };
    const shown = { x: 0, y: 100, width: 800, height: 600 };
    const { section, screen } = setUp({ place: { whole, shown, pixelRatio: 1, isGliding: false } });

    assert.deepEqual(section.style, { left: '0px', top: '100px', width: '800px', height: '600px' });
    assert.deepEqual(screen.hung, [
        { place: { width: 1200, height: 600 }, view: { x: 400, y: 0, width: 800, height: 600 } },
    ]);
});

test('a tile that hangs as it did is not drawn anew', () => {
    const { tile, screen } = setUp();

    tile.hang({ ...wholly(PLACE), isGliding: true });
    assert.equal(screen.hung.length, 1);
    tile.hang(wholly(PLACE, 1));

    assert.equal(screen.hung.length, 2, 'on a screen of another density it is');
});

test('captions lie on the picture, wherever on the canvas that is', () => {
    const { events, plate } = setUp();

    events.onBox({ x: 0, y: 250, width: 1000, height: 500 }, { width: 1280, height: 640 });

    assert.deepEqual(plate.style, { left: '0%', top: '25%', width: '100%', height: '50%' });
});

test('captions lie where the picture will be, before there is one', () => {
    const { plate } = setUp({ shape: { width: 1280, height: 640 } });

    assert.deepEqual(plate.style, { left: '0%', top: '25%', width: '100%', height: '50%' });
});

test('captions stay on what can be seen of a picture that is cropped', () => {
    const { events, plate } = setUp({ fit: 'cover', shape: HD });
    assert.deepEqual(plate.style, { left: '0%', top: '0%', width: '100%', height: '100%' });

    events.onBox({ x: -389, y: 0, width: 1778, height: 1000 }, HD);

    assert.deepEqual(plate.style, { left: '0%', top: '0%', width: '100%', height: '100%' });
});

test('captions of a picture on several screens are on the wall once', () => {
    const whole = { x: -800, y: 0, width: 2400, height: 600 };
    const shown = { x: 0, y: 0, width: 800, height: 600 };
    const { events, plate } = setUp({ place: { whole, shown, pixelRatio: 1, isGliding: false } });

    events.onBox({ x: -800, y: 0, width: 2400, height: 600 }, { width: 2400, height: 600 });

    assert.deepEqual(plate.style, { left: '-100%', top: '0%', width: '300%', height: '100%' });
});

test('the captions say the slug and when the picture was finished', () => {
    const { events, section } = setUp();

    events.onDrawn(report(1, { timestamp_ms: new Date(2026, 0, 1, 20, 15, 0, 42).getTime() }));

    assert.equal(section.find('slug').textContent, 'left');
    assert.equal(section.find('timestamp').textContent, '20:15:00.042');
});

test('the canvas says in its data attributes what it shows', () => {
    const { events, canvas } = setUp();

    events.onDrawn(report(1));
    events.onCorrupt(1);
    events.onDrawn(report(3, { job: null }));

    assert.deepEqual(canvas.dataset, {
        slug: 'left',
        sequence: 3,
        job: '',
        tier: 'full',
        timestampMs: 1_700_000_000_003,
        painted: 2,
        corrupt: '1',
    });
});

test('the placeholder gives way to the first frame, and the last one stays while the server is away', () => {
    const { events, section } = setUp();
    greet(events);
    assert.equal(section.has('is-painted'), false);
    events.onDrawn(report(1));

    events.onDown();

    assert.equal(section.has('is-painted'), true);
    assert.equal(section.has('is-down'), true);
    greet(events);
    assert.equal(section.has('is-down'), false);
});

test('a canvas that was deleted takes its picture along, and comes back when it is made again', () => {
    const { tile, events, section, screen } = setUp();
    greet(events);
    events.onDrawn(report(9));

    events.onDown();
    events.onEnd(4404);
    assert.equal(tile.isEnded, true);
    assert.equal(section.has('is-painted'), false);
    tile.reopen();
    assert.equal(screen.opened, 2);
    greet(events, { epoch: 'second' });
    events.onDrawn(report(1));

    assert.equal(tile.isEnded, false);
    assert.equal(tile.epoch, 'second');
    assert.equal(section.has('is-painted'), true);
});

test('a refusal for another reason keeps the last picture', () => {
    const { tile, events, section } = setUp();
    events.onDrawn(report(1));

    events.onEnd(1002);

    assert.equal(tile.isEnded, true);
    assert.equal(section.has('is-painted'), true);
});

for (const [problem, tell] of [
    ['gone', ({ onEnd }) => onEnd(4404)],
    ['refused', ({ onEnd }) => onEnd(1008)],
    ['full', ({ onDown }) => onDown(1013)],
]) {
    test(`a screen without a picture says why: “${problem}”, until the server greets it`, () => {
        const { events, section } = setUp();

        tell(events);

        assert.equal(section.dataset.problem, problem);
        assert.equal(section.find('message').textContent, `${problem}: left`);
        greet(events);
        assert.equal(section.dataset.problem, '');
    });
}
