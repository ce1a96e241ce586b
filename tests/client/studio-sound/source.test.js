import assert from 'node:assert/strict';
import test from 'node:test';

import { SoundSource } from '../../../client/studio/sound/source.js';
import { TEXTS } from '../../../client/studio/sound/texts.js';
import { Texts } from '../../../client/studio/texts.js';
import { FakeDocument, FakeElement } from '../studio-canvases/fakes.js';

class FakePlayer extends FakeElement {
    static made = [];
    paused = false;

    constructor(url) {
        super('audio');
        this.src = url;
        FakePlayer.made.push(this);
    }

    play() {
        return Promise.resolve();
    }

    pause() {
        this.paused = true;
    }

    removeAttribute(name) {
        delete this[name];
    }
}

class FakeNode {
    gain = { value: 1 };
    frequencyBinCount = 1024;
    connect = (node) => node;
}

class FakeContext extends EventTarget {
    state = 'running';
    sampleRate = 48_000;
    createAnalyser = () => new FakeNode();
    createGain = () => new FakeNode();
    createMediaElementSource = () => new FakeNode();
    close = () => Promise.resolve();
}

function opening() {
    globalThis.document = new FakeDocument();
    globalThis.Audio = FakePlayer;
    const revoked = [];
    URL.createObjectURL = () => 'blob:song';
    URL.revokeObjectURL = (url) => revoked.push(url);
    const environment = {
        nowMs: () => 0,
        setTimer: () => 0,
        clearTimer: () => {},
        tick: () => () => {},
        openContext: () => new FakeContext(),
        devices: null,
        isSecure: true,
        gestures: new EventTarget(),
    };
    const handlers = { onFeatures: () => {}, onSilence: () => {} };
    const { root } = new SoundSource(new Texts(TEXTS, 'en'), environment, handlers);
    const all = (node) => [node, ...node.children.flatMap(all)];
    const [input] = all(root).filter(({ type }) => type === 'file');
    const [player] = all(root).filter(({ className }) => className === 'sound-player');
    const choose = () => {
        input.files = [{ name: 'song' }];
        input.dispatchEvent(new Event('change'));
        return FakePlayer.made.at(-1);
    };
    return { root, player, revoked, choose };
}

test('a file that is chosen can be played, stopped and sought in', () => {
    const { root, player, choose } = opening();

    choose();

    assert.equal(player.hidden, false);
    assert.equal(root.dataset.sound, 'listening');
});

test('a file that is no sound leaves nothing to play or to stop, and the next one is taken', () => {
    const { root, player, revoked, choose } = opening();

    choose().dispatchEvent(new Event('error'));

    assert.ok(player.hidden);
    assert.ok(root.texts.includes('This browser cannot play the file.'));
    assert.ok(!root.texts.includes('Stop') && root.texts.includes('Listen'));
    assert.deepEqual(revoked, ['blob:song']);
    choose();
    assert.equal(player.hidden, false);
});
