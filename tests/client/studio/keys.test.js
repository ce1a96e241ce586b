import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Blackout } from '../../../client/studio/blackout.js';
import { commandOf, takesText } from '../../../client/studio/keys.js';
import { settle } from '../fakes.js';

const press = (key, changes = {}) => ({
    key, code: '', ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...changes,
});
const ANYWHERE = { isTyping: false, hasDialog: false };
const TYPING = { isTyping: true, hasDialog: false };

test('keys do what they say', () => {
    const commands = ['b', 'B', 'p', '/', '?', 'x', 'Enter'].map((key) => commandOf(press(key), ANYWHERE));

    assert.deepEqual(commands, ['blank', 'blank', 'prompt', 'prompt', 'keys', null, null]);
});

test('a Russian keyboard has the same keys', () => {
    assert.equal(commandOf(press('и', { code: 'KeyB' }), ANYWHERE), 'blank');
    assert.equal(commandOf(press('з', { code: 'KeyP' }), ANYWHERE), 'prompt');
});

test('another Latin keyboard goes by its letters, not by where they lie', () => {
    assert.equal(commandOf(press('x', { code: 'KeyB' }), ANYWHERE), null);
});

test('what is typed into a field is text', () => {
    assert.equal(commandOf(press('b'), TYPING), null);
    assert.equal(commandOf(press('?'), TYPING), null);
    assert.equal(commandOf(press('Enter'), TYPING), null);
});

test('escape leaves a field, so that keys are keys again; a dialog and a list of candidates have their own', () => {
    assert.equal(commandOf(press('Escape'), TYPING), 'leave');
    assert.equal(commandOf(press('Escape'), ANYWHERE), null);
    assert.equal(commandOf(press('Escape'), { isTyping: true, hasDialog: true }), null);
    assert.equal(commandOf(press('Escape', { isComposing: true }), TYPING), null);
});

test('control or command with enter sends from everywhere', () => {
    assert.equal(commandOf(press('Enter', { ctrlKey: true }), TYPING), 'send');
    assert.equal(commandOf(press('Enter', { metaKey: true }), ANYWHERE), 'send');
});

test('a key that is held, or meant for the browser or a dialog, is none of ours', () => {
    assert.equal(commandOf(press('b', { repeat: true }), ANYWHERE), null);
    assert.equal(commandOf(press('p', { ctrlKey: true }), ANYWHERE), null);
    assert.equal(commandOf(press('b', { altKey: true }), ANYWHERE), null);
    assert.equal(commandOf(press('b', { isComposing: true }), ANYWHERE), null);
    assert.equal(commandOf(press('b'), { isTyping: false, hasDialog: true }), null);
});

test('fields that hold text are told from those that do not', () => {
    assert.equal(takesText({ tagName: 'TEXTAREA' }), true);
    assert.equal(takesText({ tagName: 'INPUT', type: 'number' }), true);
    assert.equal(takesText({ tagName: 'SELECT' }), true);
    assert.equal(takesText({ tagName: 'DIV', isContentEditable: true }), true);
    assert.equal(takesText({ tagName: 'INPUT', type: 'checkbox' }), false);
    assert.equal(takesText({ tagName: 'BUTTON' }), false);
    assert.equal(takesText(null), false);
});

/** Canvases that change when the request is answered. */
function show(slugs, entrance) {
    const canvases = slugs.map((slug) => ({ slug, blank: false }));
    const asked = [];
    const setBlank = (slug, isBlank) => new Promise((resolve, reject) => {
        asked.push({ slug, isBlank, fail: () => reject(new Error('full')), answer: () => {
            canvases.find((canvas) => canvas.slug === slug).blank = isBlank;
            resolve();
        } });
    });
    const blackout = new Blackout(() => canvases, setBlank, entrance);
    return { canvases, asked, blackout };
}

test('one press darkens every canvas at the same time, another one shows them again', async () => {
    const { canvases, asked, blackout } = show(['left', 'right']);

    const first = blackout.toggle();
    assert.equal(blackout.isBlank, true);
    assert.deepEqual(asked.map(({ slug, isBlank }) => [slug, isBlank]), [['left', true], ['right', true]]);
    asked.splice(0).forEach(({ answer }) => answer());
    assert.deepEqual(await first, { isBlank: true, failed: [] });
    assert.ok(canvases.every(({ blank }) => blank));

    const second = blackout.toggle();
    asked.splice(0).forEach(({ answer }) => answer());
    await second;
    assert.ok(canvases.every(({ blank }) => !blank));
    assert.equal(blackout.isBlank, false);
});

test('where some are dark already the first press darkens the others', () => {
    const { canvases, asked, blackout } = show(['left', 'right']);
    canvases[0].blank = true;

    void blackout.toggle();

    assert.ok(asked.every(({ isBlank }) => isBlank));
});

test('of presses that come too quickly the last one counts', async () => {
    const { canvases, asked, blackout } = show(['left']);

    const done = blackout.toggle();
    assert.equal(await Promise.race([blackout.toggle(), settle().then(() => 'waits')]), null);
    assert.equal(blackout.isBlank, false);
    asked.splice(0).forEach(({ answer }) => answer());
    await settle();
    assert.deepEqual(asked.map(({ isBlank }) => isBlank), [false]);
    asked.splice(0).forEach(({ answer }) => answer());

    assert.deepEqual(await done, { isBlank: false, failed: [] });
    assert.equal(canvases[0].blank, false);
});

test('canvases that could not be darkened are named, and it is not told that all are', async () => {
    const { asked, blackout } = show(['left', 'right']);

    const done = blackout.toggle();
    asked[0].answer();
    asked[1].fail();

    assert.deepEqual(await done, { isBlank: true, failed: ['right'] });
    assert.equal(blackout.isBlank, false);
});

test('where no canvas is there is nothing to tell', async () => {
    assert.equal(await show([]).blackout.toggle(), null);
});

function door({ isLocked = true, takes = true } = {}) {
    const state = { isLocked, asked: 0 };
    return {
        state,
        isLocked: () => state.isLocked,
        logIn: () => {
            state.asked += 1;
            state.isLocked = !takes;
            return Promise.resolve(takes);
        },
    };
}

test('whoever is not logged in is asked once, before any canvas is', async () => {
    const entrance = door();
    const { canvases, asked, blackout } = show(['left', 'right'], entrance);

    const done = blackout.toggle();
    assert.equal(asked.length, 0);
    await settle();
    assert.equal(entrance.state.asked, 1);
    asked.forEach(({ answer }) => answer());

    assert.deepEqual(await done, { isBlank: true, failed: [] });
    assert.ok(canvases.every(({ blank }) => blank));
});

test('who does not log in changes nothing, and is told nothing more', async () => {
    const { asked, blackout } = show(['left', 'right'], door({ takes: false }));

    assert.equal(await blackout.toggle(), null);
    assert.equal(asked.length, 0);
    assert.equal(blackout.isBlank, false);
});

test('a login that ran out and was not renewed is no failure of the canvases', async () => {
    const entrance = door({ isLocked: false });
    const { asked, blackout } = show(['left'], entrance);

    const done = blackout.toggle();
    entrance.state.isLocked = true;
    asked[0].fail();

    assert.equal(await done, null);
    assert.equal(blackout.isBlank, false);
});
