import assert from 'node:assert/strict';
import test from 'node:test';

import { Roster } from '../../../client/stream/roster.js';
import { screenOptions, selectedSlugs, socketUrl } from '../../../client/wall/selection.js';
import { timeOfDay } from '../../../client/wall/timestamp.js';
import { Wall } from '../../../client/wall/wall.js';
import { FakeEnvironment, settle } from '../fakes.js';

const canvas = (slug, fields = {}) => ({ slug, width: 512, height: 512, temporary: false, ...fields });

class FakeTile {
    isEnded = false;
    epoch = 'first';
    reopened = 0;
    closed = 0;
    hung = [];
    visible = [];

    constructor(slug, shape) {
        this.slug = slug;
        this.shape = shape ?? { width: 1, height: 1 };
    }

    reopen() {
        this.reopened += 1;
    }

    hang(place, pixelRatio) {
        this.hung.push({ ...place, pixelRatio });
    }

    setVisible(isVisible) {
        this.visible.push(isVisible);
    }

    close() {
        this.closed += 1;
    }
}

function setUpWall(selection = null) {
    const tiles = new Map();
    const counts = [];
    const wall = new Wall(
        selection,
        (slug, shape) => {
            const tile = new FakeTile(slug, shape);
            tiles.set(slug, tile);
            return tile;
        },
        (count) => counts.push(count),
    );
    wall.resize({ width: 2000, height: 1000 }, 2);
    return { wall, tiles, counts };
}

test('every lasting canvas gets a tile, and a temporary one does not', () => {
    const { wall, tiles } = setUpWall();

    wall.update([canvas('left'), canvas('guest', { temporary: true }), canvas('right')]);

    assert.deepEqual([...tiles.keys()], ['left', 'right']);
    assert.deepEqual(tiles.get('left').hung.at(-1), { x: 0, y: 2, width: 995, height: 995, pixelRatio: 2 });
    assert.deepEqual(tiles.get('right').hung.at(-1), { x: 1005, y: 2, width: 995, height: 995, pixelRatio: 2 });
});

test('canvases come and go while the others stay', () => {
    const { wall, tiles, counts } = setUpWall();
    wall.update([canvas('left'), canvas('right')]);
    const left = tiles.get('left');

    wall.update([canvas('left'), canvas('dusk')]);

    assert.equal(tiles.get('right').closed, 1);
    assert.equal(tiles.get('left'), left);
    assert.equal(left.closed, 0);
    assert.ok(tiles.has('dusk'));
    wall.update([]);
    assert.deepEqual(counts, [2, 2, 0]);
});

test('a chosen wall shows what was chosen, in that order, whatever the list says', () => {
    const { wall, tiles } = setUpWall(['right', 'guest']);
    assert.deepEqual([...tiles.keys()], ['right', 'guest']);

    wall.update([canvas('left'), canvas('right')]);

    assert.deepEqual([...tiles.keys()], ['right', 'guest']);
    assert.ok(tiles.get('right').hung.at(-1).x < tiles.get('guest').hung.at(-1).x);
});

test('a tile that has ended is opened again once its canvas is listed', () => {
    const { wall, tiles } = setUpWall(['left']);
    tiles.get('left').isEnded = true;

    wall.update([canvas('right')]);
    assert.equal(tiles.get('left').reopened, 0);
    wall.update([canvas('right'), canvas('left', { epoch: 'second' })]);

    assert.equal(tiles.get('left').reopened, 1);
});

test('a list from before the end does not open a tile that has ended', () => {
    const { wall, tiles } = setUpWall(['left']);
    tiles.get('left').isEnded = true;

    wall.update([canvas('left', { epoch: 'first' })]);

    assert.equal(tiles.get('left').reopened, 0);
});

test('a tile that has not ended is left alone', () => {
    const { wall, tiles } = setUpWall(['left']);

    wall.update([canvas('left')]);

    assert.equal(tiles.get('left').reopened, 0);
});

test('visibility reaches every tile', () => {
    const { wall, tiles } = setUpWall(['left', 'right']);

    wall.setVisible(false);

    assert.deepEqual([...tiles.values()].map(({ visible }) => visible), [[false], [false]]);
});

function setUpRoster(fetchJson) {
    const environment = new FakeEnvironment();
    const lists = [];
    const roster = new Roster(
        { list: '/canvases', events: 'ws://wall.test/ws' },
        (canvases) => lists.push(canvases.map(({ slug }) => slug)),
        environment,
        fetchJson,
    );
    return { environment, lists, roster };
}

const event = (...slugs) => JSON.stringify({ type: 'canvases', canvases: slugs.map((slug) => canvas(slug)) });

test('the list comes from the first answer and then from the events', async () => {
    const { environment, lists, roster } = setUpRoster(() => Promise.resolve({ canvases: [canvas('left')] }));

    await roster.open();
    environment.socket.accept();
    environment.socket.push(event('left', 'right'));

    assert.deepEqual(lists, [['left'], ['left', 'right']]);
});

test('an answer that comes after an event is old news', async () => {
    let answer;
    const { environment, lists, roster } = setUpRoster(() => new Promise((resolve) => { answer = resolve; }));
    const opened = roster.open();
    environment.socket.accept();
    environment.socket.push(event('right'));

    answer({ canvases: [canvas('left')] });
    await opened;

    assert.deepEqual(lists, [['right']]);
});

test('a list that cannot be fetched leaves the events', async () => {
    const { environment, lists, roster } = setUpRoster(() => Promise.reject(new Error('offline')));
    await roster.open();

    environment.socket.accept();
    environment.socket.push('no json');
    environment.socket.push(JSON.stringify({ type: 'generation_progress', step: 1 }));
    environment.socket.push(event('left'));

    assert.deepEqual(lists, [['left']]);
});

test('the events are kept alive with pings and come back by themselves', async () => {
    const { environment, roster } = setUpRoster(() => Promise.resolve({ canvases: [] }));
    await roster.open();
    environment.socket.accept();

    environment.advance(10_000);
    assert.deepEqual(environment.socket.sent, [JSON.stringify({ type: 'ping' })]);
    environment.socket.push(JSON.stringify({ type: 'pong' }));
    environment.socket.drop(1001);
    environment.advance(250);

    assert.equal(environment.sockets.length, 2);
});

test('an event proves the server: the next attempt comes quickly', async () => {
    const { environment, roster } = setUpRoster(() => Promise.resolve({ canvases: [] }));
    await roster.open();
    environment.socket.drop(1006);
    environment.advance(125);
    environment.socket.accept();
    environment.socket.push(event('left'));

    environment.socket.drop(1006);

    assert.deepEqual([...environment.timers.values()].map(({ delayMs }) => delayMs), [125]);
});

test('a roster that was closed tells nothing any more', async () => {
    let answer;
    const { lists, roster } = setUpRoster(() => new Promise((resolve) => { answer = resolve; }));
    const opened = roster.open();

    roster.close();
    answer({ canvases: [canvas('left')] });
    await opened;
    await settle();

    assert.deepEqual(lists, []);
});

test('the address chooses the canvases', () => {
    const chosen = (pathname, search = '') => selectedSlugs({ pathname, search });

    assert.equal(chosen('/'), null);
    assert.equal(chosen('/', '?canvases='), null);
    assert.deepEqual(chosen('/c/left'), ['left']);
    assert.deepEqual(chosen('/c/left/'), ['left']);
    assert.deepEqual(chosen('/c/left', '?canvases=right'), ['left']);
    assert.deepEqual(chosen('/', '?canvases=b,a,%20c,b'), ['b', 'a', 'c']);
    assert.deepEqual(chosen('/', '?canvases=../ws,Left,,-a,ok-1'), ['ok-1'], 'no slug is no canvas');
});

test('sockets go where the page came from, and as safely', () => {
    assert.equal(socketUrl('/ws/left', 'http://wall.test:8000/c/left?x=1#y'), 'ws://wall.test:8000/ws/left');
    assert.equal(socketUrl('/ws', 'https://wall.test/'), 'wss://wall.test/ws');
});

test('a timestamp is local time of day with milliseconds', () => {
    assert.equal(timeOfDay(new Date(2026, 0, 2, 3, 4, 5, 6).getTime() + 0.75), '03:04:05.006');
    assert.equal(timeOfDay(new Date(2026, 11, 31, 23, 59, 59, 999).getTime()), '23:59:59.999');
});

for (const [search, expected] of [
    ['', { isAlwaysVisible: false, maxFps: undefined }],
    ['?always=1', { isAlwaysVisible: true, maxFps: undefined }],
    ['?always=0&max_fps=2.5', { isAlwaysVisible: false, maxFps: 2.5 }],
    ['?max_fps=0', { isAlwaysVisible: false, maxFps: 0 }],
    ['?max_fps=many', { isAlwaysVisible: false, maxFps: undefined }],
    ['?max_fps=-1', { isAlwaysVisible: false, maxFps: undefined }],
]) {
    test(`the address “${search}” makes a screen of its own`, () => {
        assert.deepEqual(screenOptions({ search }), expected);
    });
}
