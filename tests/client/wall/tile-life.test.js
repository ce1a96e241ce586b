/** How a tile lives: figures, trouble, other shapes, who looks, and its end. */

import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import { Overlays } from '../../../client/overlay/overlays.js';
import { Decoder } from '../../../client/paint/decoder.js';
import { LocalScreen } from '../../../client/screen/local.js';
import { OPEN } from '../../../client/stream/gate.js';
import { Tile } from '../../../client/wall/tile.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { FakeCanvas } from '../screen/fakes.js';
import { FakeElement, FakeOverlays, FakeScreens } from './fakes.js';
import { HD, PLACE, SQUARE, greet, report, setUp, wholly } from './tiles.js';

beforeEach(() => {
    globalThis.document = { createElement: (name) => new FakeElement(name) };
});

afterEach(() => {
    delete globalThis.document;
});

/** A page whose figures are open, and tiles whose screens are in its own thread. */
function setUpOpen() {
    const environment = new FakeEnvironment();
    const page = Object.assign(new EventTarget(), {
        hidden: false,
        documentElement: new FakeElement('html'),
        createElement: (name) => Object.assign(new FakeElement(name), { ownerDocument: page }),
    });
    globalThis.document = page;
    const services = { environment, decoder: new Decoder(environment), formats: ['jpeg'], gate: OPEN };
    const overlays = new Overlays(page, {
        environment,
        fetchJson: () => Promise.resolve({}),
        watchSize: () => () => {},
    });
    page.dispatchEvent(Object.assign(new Event('keydown'), { key: 'd', code: 'KeyD' }));
    const create = (_, options, events) => new LocalScreen(new FakeCanvas(), options, events, services);
    return { environment, overlays, screens: { pipeline: 'main', create } };
}

test('a canvas that comes while the figures are open shows its own, also where screens are in the page', async () => {
    const { environment, overlays, screens } = setUpOpen();
    const parent = new FakeElement('main');
    const tile = new Tile('late', SQUARE, parent, {
        environment,
        screens,
        streamUrl: (slug) => slug,
        surface: { fit: 'contain', background: null, isSmooth: true },
        isVisible: true,
        watchSight: () => () => {},
        onShape: () => {},
        overlays,
        say: () => '',
    });
    environment.advance(0);
    await settle();

    const [section] = parent.children;
    assert.equal(section.find('overlay-frames').textContent, '0 / s');
    tile.close();
});

test('a screen that tells its figures at once does no harm', () => {
    const shown = [];
    const overlays = {
        mount: (_, __, onOpen) => {
            onOpen(true);
            return { note: () => {}, show: (figures) => shown.push(figures), close: () => {} };
        },
    };
    const screens = new FakeScreens();
    const { create } = screens;
    screens.create = (canvas, options, events) =>
        Object.assign(create(canvas, options, events), { watchFigures: () => events.onFigures({ fps: 4 }) });

    setUp({ overlays, screens });
    screens.last.events.onFigures({ fps: 5 });

    assert.deepEqual(shown, [{ fps: 5 }]);
});

test('a tile that cannot be made leaves nothing on the page', () => {
    const parent = new FakeElement('main');
    const screens = {
        create: () => {
            throw new Error('no memory for a canvas');
        },
    };

    assert.throws(() => new Tile('left', SQUARE, parent, { screens, streamUrl: (slug) => slug }), /no memory/);
    assert.deepEqual(parent.children, []);
});

test('a connection that was only lost is no problem to speak of', () => {
    const { events, section } = setUp();

    events.onDown(1006);

    assert.equal(section.dataset.problem, undefined);
});

test('the tile carries the state of its canvas', () => {
    const { events, section } = setUp();

    events.onStatus({ type: 'status', state: 'blank' });

    assert.equal(section.dataset.state, 'blank');
});

test('a canvas whose size was unknown asks the wall for another place, once', () => {
    const { events, learned } = setUp({ shape: null });
    const canvas = { slug: 'left', width: 1280, height: 720 };

    greet(events, { canvas });
    greet(events, { canvas });

    assert.deepEqual(learned, [{ width: 1280, height: 720 }]);
});

test('the list tells the shape until the canvas itself does', () => {
    const { tile, events, learned } = setUp({ shape: null });

    tile.expect(HD);
    assert.deepEqual(tile.shape, HD);
    assert.deepEqual(learned, [], 'the wall is arranged by whoever told');
    greet(events);
    tile.expect(HD);

    assert.deepEqual(tile.shape, SQUARE);
});

test('a narrow picture has no room for the time', () => {
    const { tile, section } = setUp();
    assert.equal(section.has('is-narrow'), false);

    tile.hang(wholly({ x: 0, y: 0, width: 300, height: 300 }));

    assert.equal(section.has('is-narrow'), true);
});

test('tiles make room calmly, but none flies in and none is distorted on its way', () => {
    const { tile, events, section } = setUp();
    const place = (fields) => ({ ...wholly({ ...PLACE, ...fields }), isGliding: true });
    tile.hang(place({ x: 300 }));
    assert.equal(section.has('is-gliding'), false, 'nothing is to be seen of it yet');
    events.onDrawn(report(1));

    tile.hang(place({ width: 500, height: 500 }));
    assert.equal(section.has('is-gliding'), true);
    tile.hang(place({ width: 500, height: 250 }));
    assert.equal(section.has('is-gliding'), false, 'its shape is another one');
    tile.hang({ ...place({ width: 1000, height: 500 }), isGliding: false });
    assert.equal(section.has('is-gliding'), false, 'with the window it moves at once');
});

test('the figures of a screen are shown on its tile, and measured while they are', () => {
    const overlays = new FakeOverlays();
    const { tile, events, section, screen } = setUp({ overlays });
    assert.deepEqual([overlays.parent, overlays.slug], [section, 'left']);

    greet(events, { subscriber: 7 });
    overlays.onOpen(true);
    events.onFigures({ fps: 4 });
    tile.close();

    assert.equal(overlays.noted[0].subscriber, 7);
    assert.deepEqual(screen.watched, [true]);
    assert.deepEqual(overlays.shown, [{ fps: 4 }]);
    assert.equal(overlays.closed, 1);
});

test('a closed tile leaves the server at once, and the wall when it has faded', () => {
    const { environment, tile, screen, section, sight } = setUp();
    assert.equal(sight.isWatched, true);

    tile.close();

    assert.equal(screen.closed, 1);
    assert.equal(sight.isWatched, false);
    assert.equal(section.has('is-leaving'), true);
    assert.equal(section.isRemoved, false);
    environment.advance(1000);
    assert.equal(section.isRemoved, true);
    assert.equal(environment.timers.size, 0);
});

test('what was presented is told on the server’s clock, once that is known', () => {
    const { events, canvas } = setUp();
    events.onPresented(report(1, { presented_ms: null }));
    assert.deepEqual(canvas.events.map(({ detail }) => [detail.sequence, detail.presented_ms]), [[1, null]]);
    assert.equal(canvas.dataset.presentedMs, undefined);

    events.onPresented(report(2, { present_at_ms: 1_700_000_000_030, presented_ms: 1_700_000_000_040 }));

    const [, event] = canvas.events;
    assert.equal(event.type, 'psyche:presented');
    assert.equal(event.bubbles, true);
    assert.deepEqual(event.detail, {
        slug: 'left',
        sequence: 2,
        tier: 'full',
        timestamp_ms: 1_700_000_000_002,
        present_at_ms: 1_700_000_000_030,
        presented_ms: 1_700_000_000_040,
    });
    assert.equal(canvas.dataset.presentedMs, '1700000000040.0');
    assert.equal(canvas.dataset.ageMs, '38.0');
});

test('a tile without an area asks for nothing until it has one', () => {
    const { environment, tile, screen } = setUp();

    tile.hang(wholly({ x: 0, y: 0, width: 0, height: 0 }));
    environment.advance(250);
    assert.deepEqual(screen.visible, [false]);
    assert.equal(screen.hung.length, 1, 'and is drawn nowhere');
    tile.hang(wholly({ x: 0, y: 0, width: 100, height: 100 }));

    assert.deepEqual(screen.visible, [false, true]);
    assert.equal(screen.hung.length, 2);
});

test('a tile that lies wholly on another screen looks until it knows its pictures’ shape, and no longer', () => {
    const whole = { x: 900, y: 0, width: 800, height: 600 };
    const shown = { x: 900, y: 0, width: 0, height: 600 };
    const { environment, tile, screen, events, learned, sight } = setUp({
        place: { whole, shown, pixelRatio: 1, isGliding: false },
    });

    sight.see(false);
    environment.advance(10_000);
    assert.deepEqual(screen.visible, [], 'its pictures may be wider than the canvas, and lie here, too');
    events.onBox({ x: 0, y: 0, width: 1, height: 1 }, { width: 1600, height: 200 });
    environment.advance(250);

    assert.deepEqual(screen.visible, [false]);
    assert.deepEqual(screen.hung, []);
    assert.deepEqual(learned, [{ width: 1600, height: 200 }], 'the wall hangs it for those');
    tile.hang({ whole, shown: { x: 500, y: 0, width: 300, height: 600 }, pixelRatio: 1, isGliding: false });
    sight.see(true);
    assert.deepEqual(screen.visible, [false, true]);
});

test('a tile that is out of sight asks for nothing until it is back', () => {
    const { environment, sight, screen } = setUp();

    sight.see(false);
    assert.deepEqual(screen.visible, []);
    environment.advance(250);
    assert.deepEqual(screen.visible, [false]);
    sight.see(true);

    assert.deepEqual(screen.visible, [false, true]);
});

test('a message goes to servers that want it, and to no other', () => {
    const { tile, events, screen } = setUp();
    assert.equal(tile.send('audio', { type: 'audio' }), false);

    greet(events, { features: ['ack', 'audio'] });
    assert.equal(tile.send('audio', { type: 'audio', level: 1 }), true);

    assert.deepEqual(screen.sent, [{ type: 'audio', level: 1 }]);
});

test('the tile is hung for its pictures, not for the canvas that they do not fill', () => {
    const { environment, events, learned } = setUp();

    events.onBox({ x: 0, y: 219, width: 1000, height: 563 }, HD);
    assert.deepEqual(learned, [], 'not while a frame is being drawn');
    environment.advance(0);

    assert.deepEqual(learned, [HD]);
});

test('a smaller rendition hangs where its picture did', () => {
    const { environment, events, tile, learned } = setUp({ shape: { width: 511, height: 341 } });
    const box = { x: 0, y: 166, width: 1000, height: 667 };
    events.onBox(box, { width: 511, height: 341 });

    events.onBox(box, { width: 128, height: 85 });
    environment.advance(1000);

    assert.deepEqual(tile.shape, { width: 511, height: 341 });
    assert.deepEqual(learned, []);
});

test('pictures that change their shape in turn do not move the wall; those that stay do', () => {
    const { environment, tile, events, learned } = setUp();
    const box = { x: 0, y: 0, width: 1000, height: 1000 };
    events.onBox(box, SQUARE);
    events.onBox(box, HD);
    environment.advance(0);
    learned.length = 0;

    for (let turn = 0; turn < 6; turn += 1) {
        events.onBox(box, turn % 2 === 0 ? { width: 1080, height: 1920 } : HD);
        environment.advance(400);
    }
    assert.deepEqual(learned, []);
    events.onBox(box, { width: 1080, height: 1920 });
    // Told again for another reason: it is still the same shape, and has been since.
    environment.advance(600);
    events.onBox({ ...box, x: 1 }, { width: 1080, height: 1920 });

    environment.advance(400);
    assert.deepEqual(tile.shape, { width: 1080, height: 1920 });
});

test('a closed tile is hung no more', () => {
    const { environment, tile, events, learned } = setUp();
    events.onBox({ x: 0, y: 219, width: 1000, height: 563 }, HD);

    tile.close();
    environment.advance(2000);

    assert.deepEqual(learned, []);
});
