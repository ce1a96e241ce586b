import assert from 'node:assert/strict';
import test from 'node:test';

import { Thumbnail } from '../../../client/studio/canvases/thumbnail.js';

class FakeObserver {
    observe() {}
    disconnect() {}
}

// As much of a browser as a small picture needs.
Object.assign(globalThis, {
    document: { createElement: () => ({ dataset: {}, setAttribute() {}, append() {} }) },
    location: { href: 'https://show.example/studio' },
    IntersectionObserver: FakeObserver,
    ResizeObserver: FakeObserver,
    matchMedia: () => new EventTarget(),
    devicePixelRatio: 1,
});

class FakeScreen {
    opened = 0;

    open() {
        this.opened += 1;
    }

    hang() {}
    setVisible() {}
    close() {}
}

function showing() {
    const screen = new FakeScreen();
    const made = {};
    const screens = {
        create: (canvas, options, events) => {
            Object.assign(made, { options, events });
            return screen;
        },
    };
    const root = { append() {}, clientWidth: 0, clientHeight: 0 };
    const thumbnail = new Thumbnail(root, 'left', { screens, maxFps: 4, isVisible: true });
    return { thumbnail, screen, ...made };
}

test('a small picture watches, and keeps no canvas alive', () => {
    const { options } = showing();

    assert.equal(options.url, 'wss://show.example/ws/left?watch=1');
});

test('whoever logs in is heard from the next connection on', () => {
    const { thumbnail, screen, events } = showing();
    events.onHello({ epoch: 'one', features: [] });
    assert.ok(!thumbnail.takesAudio);

    thumbnail.reconnect();
    events.onHello({ epoch: 'one', features: ['audio'] });
    assert.equal(screen.opened, 2);
    assert.ok(thumbnail.takesAudio);

    thumbnail.reconnect();
    assert.ok(!thumbnail.takesAudio, 'until the server says so');
});

test('what has ended stays so until its canvas is made again', () => {
    const { thumbnail, screen, events } = showing();
    events.onHello({ epoch: 'one' });
    events.onEnd(4404);

    thumbnail.reconnect();
    thumbnail.follow('one');
    assert.equal(screen.opened, 1);
    thumbnail.follow('two');
    assert.equal(screen.opened, 2);
});
