/** What a page makes of hands: the cursor, the double click, and what is none of theirs. */

import assert from 'node:assert/strict';
import test from 'node:test';

import { hideIdleCursor } from '../../../client/page/cursor.js';
import { fullscreenOnDoubleClick } from '../../../client/page/fullscreen.js';
import { ignoreAccidents } from '../../../client/page/gestures.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { FakePage } from './fakes.js';

function setUpCursor() {
    const environment = new FakeEnvironment();
    const page = new FakePage();
    const stop = hideIdleCursor(page, environment);
    const move = (screenX, pointerType = 'mouse') => page.send('pointermove', { pointerType, screenX, screenY: 0 });
    return { environment, page, move, stop };
}

test('the cursor is hidden after two seconds without a move, and shown with the next one', () => {
    const { environment, page, move } = setUpCursor();
    assert.equal(page.has('is-idle'), false);

    environment.advance(2000);
    assert.equal(page.has('is-idle'), true);
    move(10);
    assert.equal(page.has('is-idle'), false);
    environment.advance(1999);
    move(11);
    environment.advance(1999);
    assert.equal(page.has('is-idle'), false);
    environment.advance(1);

    assert.equal(page.has('is-idle'), true);
});

test('a page that moves below a mouse at rest does not show the cursor', () => {
    const { environment, page, move } = setUpCursor();
    move(10);
    environment.advance(2000);

    move(10);

    assert.equal(page.has('is-idle'), true);
});

test('fingers have no cursor', () => {
    const { environment, page, move } = setUpCursor();
    environment.advance(2000);

    move(10, 'touch');

    assert.equal(page.has('is-idle'), true);
    move(20, 'pen');
    assert.equal(page.has('is-idle'), false);
});

test('where nobody hides the cursor any more it is shown, and no timer is left', () => {
    const { environment, page, move, stop } = setUpCursor();
    environment.advance(2000);

    stop();
    move(10);

    assert.equal(page.has('is-idle'), false);
    assert.equal(environment.timers.size, 0);
});

/** A page whose browser knows fullscreen under these names. */
function setUpFullscreen({ request, exit, current }) {
    const page = new FakePage();
    const calls = [];
    page[current] = null;
    if (request) {
        page[request] = () => {
            calls.push('request');
            page[current] = page;
        };
    }
    page[exit] = () => {
        calls.push('exit');
        page[current] = null;
    };
    const stop = fullscreenOnDoubleClick(page, page);
    return { page, calls, stop };
}

const STANDARD = { request: 'requestFullscreen', exit: 'exitFullscreen', current: 'fullscreenElement' };
const SAFARI = {
    request: 'webkitRequestFullscreen',
    exit: 'webkitExitFullscreen',
    current: 'webkitFullscreenElement',
};

for (const [browser, names] of [['today’s browsers', STANDARD], ['Safari 15', SAFARI]]) {
    test(`a double click fills the screen, and the next one leaves it, in ${browser}`, () => {
        const { page, calls, stop } = setUpFullscreen(names);

        page.send('dblclick');
        page.send('dblclick');
        page.send('dblclick');
        stop();
        page.send('dblclick');

        assert.deepEqual(calls, ['request', 'exit', 'request']);
    });
}

test('a browser that has no fullscreen, or does not allow it, is left alone', async () => {
    const { page } = setUpFullscreen({ ...STANDARD, request: undefined });
    page.send('dblclick');
    await settle();

    page.requestFullscreen = () => Promise.reject(new TypeError('Permissions check failed'));
    page.send('dblclick');
    await settle();
});

for (const type of ['contextmenu', 'selectstart', 'dragstart', 'gesturestart', 'wheel', 'touchmove']) {
    test(`“${type}” changes nothing on a page of pictures`, () => {
        const page = new FakePage();
        const stop = ignoreAccidents(page);

        assert.equal(page.send(type), true);
        stop();
        assert.equal(page.send(type), false);
    });
}

test('clicks and keys are left to whoever wants them', () => {
    const page = new FakePage();
    ignoreAccidents(page);

    for (const type of ['click', 'dblclick', 'keydown', 'pointerdown']) {
        assert.equal(page.send(type), false);
    }
});
