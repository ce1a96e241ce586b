import assert from 'node:assert/strict';
import test from 'node:test';

import { meaningOf } from '../../../client/overlay/keys.js';
import { Overlays } from '../../../client/overlay/overlays.js';
import { FakeEnvironment, HELLO, settle } from '../fakes.js';
import { FIGURES, FakeDocument, FakeElement } from './fakes.js';

function setUp() {
    const document = new FakeDocument();
    const environment = new FakeEnvironment();
    const asked = [];
    const answer = { state: { canvases: {} } };
    const sizes = [];
    const overlays = new Overlays(document, {
        environment,
        fetchJson: (url, signal) => {
            asked.push(url);
            const { state } = answer;
            if (state === undefined) {
                return new Promise((_, reject) => {
                    signal.addEventListener('abort', () => reject(new Error('AbortError')));
                });
            }
            return state === null ? Promise.reject(new TypeError('Failed to fetch')) : Promise.resolve(state);
        },
        watchSize: (_, onSize) => {
            sizes.push(onSize);
            onSize();
            return () => sizes.splice(sizes.indexOf(onSize), 1);
        },
    });
    /** Mount a screen's figures on a tile of this size. */
    const mount = (slug, { width = 1920, height = 1080 } = {}) => {
        const tile = Object.assign(new FakeElement('section', document), { clientWidth: width, clientHeight: height });
        const wanted = [];
        const mounted = overlays.mount(tile, slug, (isOpen) => wanted.push(isOpen));
        const panel = () => tile.children[0] ?? null;
        const texts = (name) => panel().all(name).map(({ textContent }) => textContent);
        return { tile, wanted, mounted, panel, texts };
    };
    return { document, environment, asked, answer, sizes, overlays, mount };
}

test('key d opens the figures of all tiles, and closes them', () => {
    const { document, mount } = setUp();
    const tiles = [mount('left'), mount('right')];

    document.press('d');
    assert.deepEqual(tiles.map(({ panel }) => panel() !== null), [true, true]);
    assert.ok(document.documentElement.has('has-overlay'));
    document.press('d');

    assert.deepEqual(tiles.map(({ panel }) => panel()), [null, null]);
    assert.deepEqual(tiles.map(({ wanted }) => wanted), [[true, false], [true, false]]);
    assert.ok(!document.documentElement.has('has-overlay'));
});

test('escape closes them, and opens nothing', () => {
    const { document, mount } = setUp();
    const { wanted } = mount('left');

    document.press('Escape', { code: 'Escape' });
    document.press('d');
    document.press('Escape', { code: 'Escape' });

    assert.deepEqual(wanted, [true, false]);
});

test('a tile that comes while they are open shows its own, one that goes takes them along', () => {
    const { document, environment, sizes, mount } = setUp();
    document.press('d');

    const { wanted, mounted, panel } = mount('late');
    assert.ok(panel() !== null);
    mounted.close();

    assert.deepEqual(wanted, [true, false]);
    assert.deepEqual([environment.timers.size, sizes.length], [0, 0]);
    document.press('d');
    document.press('d');
    assert.deepEqual(wanted, [true, false]);
});

test('while they are closed nothing is asked of the server', async () => {
    const { document, environment, asked, mount } = setUp();
    mount('left');
    environment.advance(10_000);
    assert.deepEqual(asked, []);

    document.press('d');
    await settle();
    document.press('d');
    environment.advance(10_000);

    assert.deepEqual(asked, ['/state?canvas=left&subscribers=0']);
    assert.equal(environment.timers.size, 0);
});

test('while they are open the server is asked every two seconds, one answer at a time', async () => {
    const { document, environment, asked, mount } = setUp();
    mount('left');
    document.press('d');
    environment.advance(10_000);
    assert.equal(asked.length, 1, 'the answer is still on its way');

    for (let turn = 0; turn < 3; turn += 1) {
        await settle();
        environment.advance(2000);
    }

    assert.equal(asked.length, 4);
});

test('a page that is hidden asks nothing', async () => {
    const { document, environment, asked, mount } = setUp();
    mount('left');
    document.press('d');
    await settle();
    document.hidden = true;
    environment.advance(2000);
    await settle();
    assert.equal(asked.length, 1);

    document.hidden = false;
    environment.advance(2000);
    assert.equal(asked.length, 2);
});

test('what the browser measured and what the server knows stand beside each other', async () => {
    const { document, answer, mount } = setUp();
    const ours = { number: 3, goodput_bytes_s: 14e6, drops: { replaced: 5 } };
    answer.state = { canvases: { left: { fps: 4, queue: { running: 'a' }, subscribers: [ours] } } };
    const { mounted, panel, texts } = mount('left');
    mounted.note({ ...HELLO, subscriber: 3 });
    document.press('d');

    mounted.show(FIGURES);
    await settle();

    assert.deepEqual(texts('overlay-age'), ['42 ms']);
    assert.deepEqual(texts('overlay-worst'), ['95 % ≤ 61 ms']);
    assert.deepEqual(texts('overlay-frames'), ['4 of 4 / s']);
    assert.deepEqual(texts('overlay-value'), ['1', '4.4', '12', '9', '16']);
    const parts = panel().all('overlay-part').map(({ style }) => Number(style.flexGrow).toFixed(2));
    assert.deepEqual(parts, ['0.02', '0.10', '0.28', '0.21', '0.38']);
    assert.deepEqual(['replaced 5', '1.2 MB/s · link 14 MB/s'].map((text) => texts('dd').includes(text)), [true, true]);
});

test('while the server is away what it knew is not claimed any more', async () => {
    const { document, environment, asked, answer, mount } = setUp();
    answer.state = { canvases: { left: { fps: 4, subscribers: [{ number: 3, drops: { replaced: 5 } }] } } };
    const { mounted, texts } = mount('left');
    mounted.note({ ...HELLO, subscriber: 3 });
    document.press('d');
    mounted.show(FIGURES);
    await settle();
    answer.state = null;

    environment.advance(2000);
    await settle();

    assert.equal(texts('dd').at(-1), '–');
    environment.advance(2000);
    assert.equal(asked.length, 3, 'it is asked again');
});

test('the server is asked for the row of this connection only', async () => {
    const { document, environment, asked, mount } = setUp();
    const { mounted } = mount('left');
    mounted.note({ ...HELLO, subscriber: 3 });
    document.press('d');
    await settle();

    mounted.note({ ...HELLO, subscriber: 9 });
    environment.advance(2000);

    assert.deepEqual(asked, ['/state?canvas=left&subscriber=3', '/state?canvas=left&subscriber=9']);
});

test('a request that hangs is given up, and the server is asked again', async () => {
    const { document, environment, asked, answer, mount } = setUp();
    mount('left');
    answer.state = undefined;
    document.press('d');
    environment.advance(3999);
    await settle();
    assert.equal(environment.timers.size, 1);

    environment.advance(1);
    await settle();
    environment.advance(2000);
    assert.equal(asked.length, 2);
    document.press('d');
    await settle();

    assert.equal(environment.timers.size, 0, 'closing gives it up, too');
});

test('a panel’s words are English, whatever the page speaks', () => {
    const { document, mount } = setUp();
    const { panel } = mount('left');

    document.press('d');

    assert.equal(panel().lang, 'en');
});

test('an answer that comes after closing changes nothing', async () => {
    const { document, environment, mount } = setUp();
    const { mounted } = mount('left');
    document.press('d');
    document.press('d');
    mounted.show(FIGURES);

    await settle();

    assert.equal(environment.timers.size, 0);
});

test('a panel says less on a small tile, and is larger on a large one', () => {
    const { document, mount } = setUp();
    const sizes = [[3840, 2160], [1920, 1080], [470, 262], [300, 200], [130, 60]];
    const tiles = sizes.map(([width, height]) => mount('left', { width, height }));

    document.press('d');

    const panels = tiles.map(({ panel }) => panel());
    assert.deepEqual(panels.map((panel) => panel.has('is-compact')), [false, false, false, true, true]);
    assert.deepEqual(panels.map((panel) => panel.has('is-tiny')), [false, false, false, false, true]);
    assert.deepEqual(panels.map(({ style }) => Math.round(Number.parseFloat(style.fontSize))), [33, 16, 10, 10, 10]);
});

test('a closed page listens no more', () => {
    const { document, overlays, mount } = setUp();
    const { wanted } = mount('left');
    document.press('d');

    overlays.close();
    document.press('d');

    assert.deepEqual(wanted, [true, false]);
});

test('a key means something only where nobody writes, and alone', () => {
    const event = (fields) => ({ key: 'd', code: 'KeyD', target: { tagName: 'BODY' }, ...fields });
    const cases = [
        [event({}), 'toggle'],
        [event({ key: 'D' }), 'toggle'],
        [event({ key: 'в' }), 'toggle'],
        [event({ key: 'e' }), null],
        [event({ key: 'd', code: 'KeyH' }), 'toggle'],
        [event({ key: 'Dead' }), null],
        [event({ key: 'Escape', code: 'Escape' }), 'close'],
        [event({ target: { tagName: 'INPUT' } }), null],
        [event({ target: { tagName: 'TEXTAREA' } }), null],
        [event({ target: { tagName: 'DIV', isContentEditable: true } }), null],
        [event({ key: 'Escape', target: { tagName: 'INPUT' } }), null],
    ];
    for (const field of ['ctrlKey', 'altKey', 'metaKey', 'shiftKey', 'repeat', 'isComposing', 'defaultPrevented']) {
        cases.push([event({ [field]: true }), null]);
    }
    for (const [pressed, expected] of cases) {
        assert.equal(meaningOf(pressed), expected, JSON.stringify(pressed));
    }
});
