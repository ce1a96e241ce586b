import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import { Decoder } from '../../../client/paint/decoder.js';
import { Tile } from '../../../client/wall/tile.js';
import { FakeEnvironment, HELLO, frame } from '../fakes.js';

/** As much of an element as a tile touches. */
class FakeElement {
    dataset = {};
    style = {};
    children = [];
    attributes = {};
    textContent = '';
    width = 300;
    height = 150;
    isRemoved = false;
    drawn = [];
    events = [];
    #marks = new Set();

    constructor(name) {
        this.name = name;
    }

    classList = {
        toggle: (mark, isSet) => (isSet ? this.#marks.add(mark) : this.#marks.delete(mark)),
    };

    has(mark) {
        return this.#marks.has(mark);
    }

    append(...children) {
        this.children.push(...children);
    }

    setAttribute(name, value) {
        this.attributes[name] = value;
    }

    remove() {
        this.isRemoved = true;
    }

    getContext() {
        return { drawImage: (bitmap, ...rectangle) => this.drawn.push(rectangle) };
    }

    dispatchEvent(event) {
        this.events.push(event);
    }

    find(className) {
        return this.children.find((child) => child.className.split(' ').includes(className));
    }
}

beforeEach(() => {
    globalThis.document = { createElement: (name) => new FakeElement(name) };
});

afterEach(() => {
    delete globalThis.document;
});

function setUp({ shape = { width: 512, height: 512 }, ...services } = {}) {
    const environment = new FakeEnvironment();
    const parent = new FakeElement('main');
    const learned = [];
    const sight = { see: null, isWatched: false };
    const tile = new Tile('left', shape, parent, {
        environment,
        decoder: new Decoder(environment),
        formats: ['jpeg', 'png'],
        streamUrl: (slug) => `ws://wall.test/ws/${slug}`,
        isVisible: true,
        watchSight: (_, onSight) => {
            Object.assign(sight, { see: onSight, isWatched: true });
            return () => {
                sight.isWatched = false;
            };
        },
        onShape: () => learned.push({ ...tile.shape }),
        ...services,
    });
    tile.hang({ x: 20, y: 0, width: 1000, height: 1000 }, 2);
    const [section] = parent.children;
    return { environment, tile, section, canvas: section.find('picture'), learned, sight };
}

function greet(environment, fields = {}) {
    environment.socket.accept();
    environment.socket.pushMessage({ ...HELLO, canvas: { ...HELLO.canvas, ...fields } });
}

async function show(environment, message) {
    environment.socket.pushMessage(message);
    await environment.finishDecode(0, message);
    environment.paint();
}

test('a picture is drawn in the screen’s own pixels, and placed in CSS pixels', async () => {
    const { environment, section, canvas } = setUp();
    greet(environment);

    await show(environment, frame(1));

    assert.deepEqual([canvas.width, canvas.height], [1000, 1000]);
    assert.deepEqual(canvas.drawn, [[0, 0, 1000, 1000]]);
    assert.deepEqual(section.style, { left: '10px', top: '0px', width: '500px', height: '500px' });
});

test('a picture of another shape than its canvas keeps its aspect ratio, centred', async () => {
    const { environment, section, canvas } = setUp();
    greet(environment);

    await show(environment, frame(1, { width: 1280, height: 640 }));

    assert.deepEqual([canvas.width, canvas.height], [1000, 500]);
    assert.deepEqual(section.style, { left: '10px', top: '125px', width: '500px', height: '250px' });
});

test('a photograph that lies on its side in the file hangs upright', async () => {
    const { environment, canvas } = setUp();
    greet(environment);

    environment.socket.pushMessage(frame(1, { width: 1280, height: 640 }));
    await environment.finishDecode(0, { width: 640, height: 1280 });
    environment.paint();

    assert.deepEqual([canvas.width, canvas.height], [500, 1000]);
});

test('the captions say the slug and when the picture was finished', async () => {
    const { environment, section } = setUp();
    greet(environment);

    await show(environment, frame(1, { timestamp_ms: new Date(2026, 0, 1, 20, 15, 0, 42).getTime() }));

    assert.equal(section.find('slug').textContent, 'left');
    assert.equal(section.find('timestamp').textContent, '20:15:00.042');
});

test('the canvas says in its data attributes what it shows', async () => {
    const { environment, canvas } = setUp();
    greet(environment);

    await show(environment, frame(1));
    environment.socket.pushMessage(frame(2));
    await environment.failDecode();
    await show(environment, frame(3, { job: null }));

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

test('the placeholder gives way to the first frame, and the last one stays while the server is away', async () => {
    const { environment, section } = setUp();
    greet(environment);
    assert.equal(section.has('is-painted'), false);
    await show(environment, frame(1));

    environment.socket.drop(1006);

    assert.equal(section.has('is-painted'), true);
    assert.equal(section.has('is-down'), true);
    environment.advance(250);
    greet(environment);
    assert.equal(section.has('is-down'), false);
});

test('a canvas that was deleted takes its picture along, and comes back when it is made again', async () => {
    const { environment, tile, section } = setUp();
    greet(environment);
    await show(environment, frame(9));

    environment.socket.pushMessage({ type: 'bye', reason: 'deleted', reconnect: false });
    assert.equal(tile.isEnded, true);
    assert.equal(section.has('is-painted'), false);
    tile.reopen();
    greet(environment);
    await show(environment, frame(1));

    assert.equal(tile.isEnded, false);
    assert.equal(section.has('is-painted'), true);
});

test('a refusal for another reason keeps the last picture', async () => {
    const { environment, tile, section } = setUp();
    greet(environment);
    await show(environment, frame(1));

    environment.socket.drop(1002);

    assert.equal(tile.isEnded, true);
    assert.equal(section.has('is-painted'), true);
});

test('the tile carries the state of its canvas', () => {
    const { environment, section } = setUp();
    greet(environment);

    environment.socket.pushMessage({ type: 'status', state: 'blank' });

    assert.equal(section.dataset.state, 'blank');
});

test('a canvas whose size was unknown asks the wall for another place, once', () => {
    const { environment, learned } = setUp({ shape: null });

    greet(environment, { width: 1280, height: 720 });
    environment.socket.drop(1006);
    environment.advance(250);
    greet(environment, { width: 1280, height: 720 });

    assert.deepEqual(learned, [{ width: 1280, height: 720 }]);
});

test('the server is told the picture’s place, not the window', () => {
    const { environment } = setUp({ shape: { width: 1280, height: 640 } });
    greet(environment, { width: 1280, height: 640 });

    const [ready] = environment.socket.take('ready');

    assert.deepEqual(ready.viewport, { width: 1000, height: 500 });
    assert.equal(ready.visible, true);
});

test('another place is drawn at its own size, though no frame comes', async () => {
    const { environment, tile, canvas } = setUp();
    greet(environment);
    await show(environment, frame(1));

    tile.hang({ x: 0, y: 0, width: 400, height: 600 }, 1);
    assert.deepEqual([canvas.width, canvas.height], [1000, 1000], 'not cleared before it is drawn anew');
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual([canvas.width, canvas.height], [400, 400]);
    assert.equal(canvas.dataset.painted, 1);
});

test('a narrow tile has no room for the time', () => {
    const { tile, section } = setUp();
    assert.equal(section.has('is-narrow'), false);

    tile.hang({ x: 0, y: 0, width: 300, height: 300 }, 2);

    assert.equal(section.has('is-narrow'), true);
});

test('a page that starts hidden says so and acknowledges on receipt', () => {
    const { environment } = setUp({ isVisible: false });
    greet(environment);
    const [ready] = environment.socket.take('ready');

    environment.socket.pushMessage(frame(1));

    assert.equal(ready.visible, false);
    assert.equal(environment.decodes.length, 0);
    assert.deepEqual(environment.socket.take('ack').map(({ sequence }) => sequence), [1]);
});

test('a closed tile leaves the wall and the server', () => {
    const { environment, tile, section } = setUp();
    greet(environment);

    tile.close();

    assert.equal(section.isRemoved, true);
    assert.equal(environment.socket.closedWith.code, 1000);
    assert.equal(environment.timers.size, 0);
});

test('what was presented is told on the server’s clock, once that is known', async () => {
    const { environment, canvas } = setUp();
    greet(environment);
    await show(environment, frame(1));
    assert.deepEqual(canvas.events.map(({ detail }) => [detail.sequence, detail.presented_ms]), [[1, null]]);
    assert.equal(canvas.dataset.presentedMs, undefined);
    const [question] = environment.socket.take('time');
    environment.socket.pushMessage({ ...question, server_time_ms: 1_700_000_000_000 });

    environment.elapsedMs = 40;
    await show(environment, frame(2, { present_at_ms: 1_700_000_000_030 }));

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

test('the same picture in a better tier is drawn, and told by its tier', async () => {
    const { environment, canvas } = setUp();
    greet(environment);
    await show(environment, frame(1, { tier: 'jpeg-50-70' }));
    environment.socket.take();

    await show(environment, frame(1, { tier: 'original' }));

    assert.equal(canvas.drawn.length, 2);
    assert.equal(canvas.dataset.tier, 'original');
    assert.deepEqual(environment.socket.take('ack').map(({ sequence }) => sequence), [1]);
});

test('a smaller rendition hangs where its picture did, and the server is not told of another size', async () => {
    const { environment, section, canvas } = setUp({ shape: { width: 511, height: 341 } });
    greet(environment, { width: 511, height: 341 });
    await show(environment, frame(1, { width: 511, height: 341 }));
    const place = { ...section.style };
    environment.socket.take();

    await show(environment, frame(2, { width: 128, height: 85 }));
    environment.advance(1000);

    assert.deepEqual(section.style, place);
    assert.deepEqual(canvas.drawn[0], canvas.drawn[1]);
    assert.deepEqual(environment.socket.take('ready'), []);
});

test('a picture that comes small at first hangs in the shape of its canvas', async () => {
    const { environment, canvas } = setUp({ shape: { width: 511, height: 341 } });
    greet(environment, { width: 511, height: 341 });

    await show(environment, frame(1, { width: 128, height: 85 }));

    assert.deepEqual([canvas.width, canvas.height], [1000, 667]);
});

test('a tile without an area asks for nothing until it has one', () => {
    const { environment, tile } = setUp();
    greet(environment);
    environment.socket.take();

    tile.hang({ x: 0, y: 0, width: 0, height: 0 }, 1);
    environment.advance(250);
    assert.deepEqual(environment.socket.take('ready').map(({ visible }) => visible), [false]);
    tile.hang({ x: 0, y: 0, width: 100, height: 100 }, 1);

    assert.deepEqual(environment.socket.take('ready').map(({ visible }) => visible), [true]);
});

test('a tile that is out of sight asks for nothing until it is back', () => {
    const { environment, sight } = setUp();
    greet(environment);
    environment.socket.take();

    sight.see(false);
    environment.socket.pushMessage(frame(1));
    assert.deepEqual(environment.socket.take(), []);
    environment.advance(250);
    assert.deepEqual(environment.socket.take('ready').map(({ visible }) => visible), [false]);
    sight.see(true);

    assert.deepEqual(environment.socket.take('ready').map(({ visible }) => visible), [true]);
});

test('a closed tile is not watched any more', () => {
    const { sight, tile } = setUp();
    assert.equal(sight.isWatched, true);

    tile.close();

    assert.equal(sight.isWatched, false);
});

test('the server is told how many frames a second this screen wants', () => {
    const { environment } = setUp({ maxFps: 0 });
    greet(environment);

    assert.equal(environment.socket.take('ready')[0].max_fps, 0);
});

test('the tile is hung for its pictures, not for the canvas that they do not fill', async () => {
    const { environment, learned } = setUp();
    greet(environment);

    await show(environment, frame(1, { width: 1920, height: 1080 }));
    environment.advance(0);

    assert.deepEqual(learned, [{ width: 1920, height: 1080 }]);
});

test('pictures that change their shape in turn do not move the wall; those that stay do', async () => {
    const { environment, tile, learned } = setUp();
    greet(environment);
    await show(environment, frame(1, { width: 512, height: 512 }));
    await show(environment, frame(2, { width: 1920, height: 1080 }));
    environment.advance(0);
    learned.length = 0;

    for (let sequence = 3; sequence < 9; sequence += 1) {
        const isWide = sequence % 2 === 0;
        await show(environment, frame(sequence, { width: isWide ? 1920 : 1080, height: isWide ? 1080 : 1920 }));
        environment.advance(400);
    }
    assert.deepEqual(learned, []);

    environment.advance(1000);
    assert.deepEqual(tile.shape, { width: 1920, height: 1080 });
});

test('a closed tile is hung no more', async () => {
    const { environment, tile, learned } = setUp();
    greet(environment);
    await show(environment, frame(1, { width: 1920, height: 1080 }));

    tile.close();
    environment.advance(2000);

    assert.deepEqual(learned, []);
});
