import assert from 'node:assert/strict';
import test from 'node:test';

import { stageOptions } from '../../../client/stage/options.js';

function read(search, hash = '') {
    const warnings = [];
    return { ...stageOptions({ search, hash }, (warning) => warnings.push(warning)), warnings };
}

test('nothing asked for: the HUD, and no caption', () => {
    assert.deepEqual(read(''), { hasHud: true, caption: '', warnings: [] });
});

test('the HUD can be left out', () => {
    assert.equal(read('?hud=0').hasHud, false);
    assert.equal(read('?hud=false').hasHud, false);
    assert.equal(read('?hud=1').hasHud, true);
});

test('a bad value is told of, and changes nothing', () => {
    const { hasHud, warnings } = read('?hud=maybe');

    assert.equal(hasHud, true);
    assert.deepEqual(warnings, ['hud=maybe is ignored: hud accepts 1 or 0']);
});

test('a caption is a clean text of bounded length', () => {
    assert.equal(read('?caption=All%20for%20you').caption, 'All for you');
    assert.equal(read('?caption=%3Cb%3Ehi%3C/b%3E%E2%80%AE').caption, '<b>hi</b>');
    assert.equal(read(`?caption=${'x'.repeat(1000)}`).caption.length, 200);
});

test('a background that was typed with its number sign hides no option behind it', () => {
    assert.deepEqual(read('?background=', '#ff00aa&hud=0&caption=hi'), { hasHud: false, caption: 'hi', warnings: [] });
});
