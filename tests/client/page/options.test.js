import assert from 'node:assert/strict';
import test from 'node:test';

import { isSlug, pageOptions, slugOfPath } from '../../../client/page/options.js';
import { socketUrl } from '../../../client/page/urls.js';

const DEFAULTS = {
    canvases: null,
    fit: 'contain',
    hasLabels: true,
    hasTimestamps: true,
    background: null,
    screen: null,
    isAlwaysVisible: false,
    maxFps: undefined,
    audio: null,
    pipeline: null,
    language: null,
};

/** What an address makes of a page, and what it warns of. */
function read(search, hash = '') {
    const warnings = [];
    const options = pageOptions({ search, hash }, (warning) => warnings.push(warning));
    return { options, warnings };
}

test('an address without options is one of a plain page, and so is one with empty ones', () => {
    for (const search of ['', '?', '?canvases=&fit=&screen=%20&audio=', '?something=else']) {
        assert.deepEqual(read(search), { options: DEFAULTS, warnings: [] });
    }
});

for (const [search, expected] of [
    ['?canvases=b,a,%20c,b', { canvases: ['b', 'a', 'c'] }],
    ['?fit=cover', { fit: 'cover' }],
    ['?fit=contain', { fit: 'contain' }],
    ['?labels=0', { hasLabels: false }],
    ['?labels=true&timestamps=false', { hasTimestamps: false }],
    ['?background=transparent', { background: 'transparent' }],
    ['?background=%23FF8000', { background: '#ff8000' }],
    ['?background=00aaff', { background: '#00aaff' }],
    ['?screen=2/3', { screen: { columns: 3, rows: 1, column: 1, row: 0 } }],
    ['?screen=1/1', { screen: { columns: 1, rows: 1, column: 0, row: 0 } }],
    ['?screen=2/3x2', { screen: { columns: 3, rows: 2, column: 1, row: 0 } }],
    ['?screen=6/3x2', { screen: { columns: 3, rows: 2, column: 2, row: 1 } }],
    ['?screen=3/1x4', { screen: { columns: 1, rows: 4, column: 0, row: 2 } }],
    ['?always=1', { isAlwaysVisible: true }],
    ['?always=0&max_fps=2.5', { maxFps: 2.5 }],
    ['?max_fps=0', { maxFps: 0 }],
    ['?audio=mic', { audio: 'mic' }],
    ['?pipeline=worker', { pipeline: 'worker' }],
    ['?pipeline=main&lang=ru', { pipeline: 'main', language: 'ru' }],
]) {
    test(`the address “${search}” is understood`, () => {
        assert.deepEqual(read(search), { options: { ...DEFAULTS, ...expected }, warnings: [] });
    });
}

for (const [name, value, accepted] of [
    ['canvases', '../ws', /names of canvases/],
    ['canvases', 'left,,right', /names of canvases/],
    ['fit', 'stretch', /contain or cover/],
    ['fit', 'toString', /contain or cover/],
    ['labels', 'no', /1 or 0/],
    ['timestamps', 'constructor', /1 or 0/],
    ['background', 'red', /transparent or #rrggbb/],
    ['background', '%23fff', /transparent or #rrggbb/],
    ['background', 'url(//evil.test)', /transparent or #rrggbb/],
    ['screen', '0/3', /2\/3x2/],
    ['screen', '4/3', /2\/3x2/],
    ['screen', '7/3x2', /2\/3x2/],
    ['screen', '1/0', /2\/3x2/],
    ['screen', '1/1000', /2\/3x2/],
    ['screen', '2', /2\/3x2/],
    ['always', '2', /1 or 0/],
    ['max_fps', 'many', /frames a second/],
    ['max_fps', '-1', /frames a second/],
    ['max_fps', 'Infinity', /frames a second/],
    ['audio', 'file', /mic/],
    ['pipeline', 'gpu', /worker or main/],
    ['lang', 'de', /en or ru/],
]) {
    test(`“${name}=${value}” is ignored, and told once with what it accepts`, () => {
        const { options, warnings } = read(`?${name}=${value}&something=else`);

        assert.deepEqual(options, DEFAULTS);
        assert.equal(warnings.length, 1);
        assert.ok(warnings[0].startsWith(`${name}=${decodeURIComponent(value)} is ignored: ${name} accepts `));
        assert.match(warnings[0], accepted);
    });
}

test('one bad option does not spoil the others', () => {
    const { options, warnings } = read('?fit=cover&labels=perhaps&screen=1/2');

    assert.equal(options.fit, 'cover');
    assert.equal(options.screen.columns, 2);
    assert.equal(warnings.length, 1);
});

test('a warning is not as long as what somebody put into the address', () => {
    const { warnings } = read(`?fit=${'x'.repeat(10_000)}`);

    assert.ok(warnings[0].length < 200);
});

test('a colour that is typed as it is has begun the fragment of the address', () => {
    assert.equal(read('?background=', '#102030').options.background, '#102030');
    const { options } = read('?fit=cover&background=', '#102030&labels=0');
    assert.deepEqual([options.background, options.fit, options.hasLabels], ['#102030', 'cover', false]);
    assert.equal(read('?fit=cover', '#102030').options.background, null, 'another fragment is none of ours');
});

test('the path names the canvas', () => {
    assert.equal(slugOfPath('/'), null);
    assert.equal(slugOfPath('/c/left'), 'left');
    assert.equal(slugOfPath('/c/left/'), 'left');
    assert.equal(slugOfPath('/stage/left'), 'left');
    assert.equal(slugOfPath('/c/%D1%85'), 'х');
    assert.equal(slugOfPath('/c/%FF'), '%FF');
    assert.equal(slugOfPath('/c/left/more'), null);
});

test('a name is a slug as the server has it', () => {
    for (const slug of ['left', '0', 'a-1', 'a'.repeat(64)]) {
        assert.ok(isSlug(slug), slug);
    }
    for (const slug of ['', 'Left', '-a', 'a_b', 'х', 'a'.repeat(65), 'left\n']) {
        assert.ok(!isSlug(slug), slug);
    }
});

test('sockets go where the page came from, and as safely', () => {
    assert.equal(socketUrl('/ws/left', 'http://wall.test:8000/c/left?x=1#y'), 'ws://wall.test:8000/ws/left');
    assert.equal(socketUrl('/ws', 'https://wall.test/'), 'wss://wall.test/ws');
});
