/** How a page looks and speaks: its ground, its size, its language, its notices. */

import assert from 'node:assert/strict';
import test from 'node:test';

import { applyBackground } from '../../../client/page/background.js';
import { chooseLanguage } from '../../../client/page/language.js';
import { Notice } from '../../../client/page/notice.js';
import { watchSize } from '../../../client/page/size.js';
import { FakeEnvironment } from '../fakes.js';
import { FakePage } from './fakes.js';

test('a page keeps its own ground where the address has none', () => {
    const root = new FakePage();

    assert.equal(applyBackground(root, null, '#050507'), '#050507');
    assert.equal(root.properties.size, 0);
});

test('a colour is the ground of the page and of its canvases', () => {
    const root = new FakePage();

    assert.equal(applyBackground(root, '#102030', '#050507'), '#102030');
    assert.equal(root.properties.get('--ground'), '#102030');
    assert.equal(root.has('is-transparent'), false);
});

test('a transparent page has nothing beside its pictures', () => {
    const root = new FakePage();

    assert.equal(applyBackground(root, 'transparent', '#050507'), null);
    assert.equal(root.properties.get('--ground'), 'transparent');
    assert.equal(root.has('is-transparent'), true);
});

for (const [wish, preferred, expected] of [
    [null, ['de-DE', 'ru-RU', 'en'], 'ru'],
    [null, ['EN-gb'], 'en'],
    [null, ['de', 'fr'], 'en'],
    [null, [], 'en'],
    ['en', ['ru'], 'en'],
    ['ru', ['en-US'], 'ru'],
]) {
    test(`a browser that prefers “${preferred}” and an address that wants ${wish} are spoken to in ${expected}`, () => {
        assert.equal(chooseLanguage(wish, preferred), expected);
    });
}

test('a notice goes by itself after ten seconds, counted from the last one', () => {
    const environment = new FakeEnvironment();
    const element = new FakePage();
    const notice = new Notice(element, environment);

    notice.show('First');
    environment.advance(6000);
    notice.show('Second');
    environment.advance(9999);
    assert.deepEqual([element.textContent, element.has('is-shown')], ['Second', true]);
    environment.advance(1);

    assert.equal(element.has('is-shown'), false);
    assert.equal(environment.timers.size, 0);
});

test('a notice that has become wrong goes at once', () => {
    const environment = new FakeEnvironment();
    const element = new FakePage();
    const notice = new Notice(element, environment);
    notice.show('Click once');

    notice.clear();

    assert.equal(element.has('is-shown'), false);
    assert.equal(environment.timers.size, 0);
});

/** An element of 800×450.5 CSS pixels on a screen whose density can change. */
function setUpSize() {
    const told = [];
    const watched = { ratio: 1.5, densities: [], resize: null };
    const element = { clientWidth: 800, clientHeight: 451 };
    const stop = watchSize(element, (size, ratio) => told.push([size.width, size.height, ratio]), {
        pixelRatio: () => watched.ratio,
        matchMedia: (query) => {
            const density = Object.assign(new FakePage(), { query });
            watched.densities.push(density);
            return density;
        },
        observe: (_, onResize) => {
            watched.resize = onResize;
            return () => {
                watched.resize = null;
            };
        },
    });
    return { told, watched, element, stop };
}

test('a size is told in the screen’s own pixels, at once and when it changes', () => {
    const { told, watched, element } = setUpSize();

    element.clientWidth = 1000;
    watched.resize();

    assert.deepEqual(told, [
        [1200, 677, 1.5],
        [1500, 677, 1.5],
    ]);
});

test('a window that moves to a screen of another density is told, again and again', () => {
    const { told, watched, stop } = setUpSize();

    for (const ratio of [1, 2]) {
        watched.ratio = ratio;
        watched.densities.at(-1).send('change');
    }
    stop();
    watched.densities.at(-1).send('change');

    assert.deepEqual(told.slice(1), [
        [800, 451, 1],
        [1600, 902, 2],
    ]);
    assert.deepEqual(watched.densities.map(({ query }) => query), [
        '(resolution: 1.5dppx)',
        '(resolution: 1dppx)',
        '(resolution: 2dppx)',
    ]);
    assert.equal(watched.resize, null);
});
