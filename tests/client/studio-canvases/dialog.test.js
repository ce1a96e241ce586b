import assert from 'node:assert/strict';
import test from 'node:test';

import { confirmed } from '../../../client/studio/canvases/dialog.js';
import { waitingOn } from '../../../client/studio/canvases/figures.js';
import { TEXTS } from '../../../client/studio/canvases/texts.js';
import { Texts } from '../../../client/studio/texts.js';
import { FakeDocument } from './fakes.js';

function asking(count) {
    globalThis.document = new FakeDocument();
    const source = new EventTarget();
    const known = { count };
    const question = {
        title: 'canvases.clear-title',
        text: 'canvases.clear-text',
        action: 'canvases.clear',
        values: () => (known.count === 0 ? null : { name: 'left', count: known.count }),
    };
    const answer = confirmed(new Texts(TEXTS, 'en'), question, { source, type: 'jobs' });
    const become = (now) => {
        known.count = now;
        source.dispatchEvent(new Event('jobs'));
    };
    return { answer, become, body: document.body, dialog: document.body.children[0] };
}

test('a question says what it is about, and what was answered', async () => {
    const { answer, body, dialog } = asking(3);
    assert.ok(dialog.texts.includes('Clear 3 jobs'));
    assert.ok(dialog.texts.includes('Clear the queue of left?'));

    dialog.close('yes');

    assert.equal(await answer, true);
    assert.deepEqual(body.children, []);
});

test('a question follows what it is about while nobody answers', async () => {
    const { answer, become, dialog } = asking(3);

    become(1);
    assert.ok(dialog.texts.includes('Clear 1 job'), dialog.texts.join());
    dialog.close('');

    assert.equal(await answer, false);
});

test('a question that has become void goes, and nothing is done', async () => {
    const { answer, become, body } = asking(3);

    become(0);

    assert.equal(await answer, false);
    assert.deepEqual(body.children, []);
});

test('what was answered stays answered, whatever comes after', async () => {
    const { answer, become, dialog } = asking(2);

    dialog.close('yes');
    become(0);

    assert.equal(await answer, true);
});

test('of the jobs those count that wait for the canvas', () => {
    const jobs = [
        { canvas: 'left', state: 'queued' }, { canvas: 'left', state: 'running' },
        { canvas: 'right', state: 'queued' }, { canvas: null, state: 'queued' },
    ];
    assert.equal(waitingOn('left', jobs), 1);
});
