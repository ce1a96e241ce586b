import assert from 'node:assert/strict';
import test from 'node:test';

import { AccessNote } from '../../../client/studio/canvases/access-note.js';
import { TEXTS } from '../../../client/studio/canvases/texts.js';
import { Store } from '../../../client/studio/store.js';
import { Texts } from '../../../client/studio/texts.js';
import { FakeDocument } from './fakes.js';

function noting(access) {
    globalThis.document = new FakeDocument();
    const store = new Store(() => 0);
    store.setAccess(access);
    const asked = [];
    const ending = new AbortController();
    const { root } = new AccessNote(store, new Texts(TEXTS, 'en'), () => asked.push('login'), ending.signal);
    return { store, root, asked, ending };
}

test('whoever may only look is told so at the canvases, and can log in there', () => {
    const { root, asked } = noting({ needsToken: true, isAuthorised: false });
    assert.equal(root.hidden, false);
    assert.equal(root.textContent, 'Log in to change canvases');

    root.press();

    assert.deepEqual(asked, ['login']);
});

test('it comes and goes with the login', () => {
    const { store, root, ending } = noting({ needsToken: true, isAuthorised: false });

    store.setAccess({ needsToken: true, isAuthorised: true });
    assert.ok(root.hidden);
    store.setAccess({ needsToken: true, isAuthorised: false });
    assert.ok(!root.hidden);
    ending.abort();
    store.setAccess({ needsToken: true, isAuthorised: true });
    assert.ok(!root.hidden, 'a panel that is closed follows nothing');
});

test('where no token is needed nobody is told of one', () => {
    assert.ok(noting({ needsToken: false, isAuthorised: false }).root.hidden);
});
