import assert from 'node:assert/strict';
import test from 'node:test';

import { FEATURES } from '../../../client/sound/features.js';
import { clicks, featuresOf, kicks, noise, sine } from './fakes.js';

const together = (...sounds) => (t) => sounds.reduce((sum, sound) => sum + sound(t), 0);

/** How often a pulse begins. */
function begins(told, name) {
    return told.filter((features, index) => index > 0 && features[name] > told[index - 1][name]).length;
}

function assertSilent(told) {
    for (const features of told) {
        assert.deepEqual(FEATURES.map((name) => features[name]), [0, 0, 0, 0, 0, 0], `after ${features.t} s`);
        assert.equal(features.tempo_bpm, null);
    }
}

test('silence is zeros', () => assertSilent(featuresOf(() => 0, 2)));
test('the noise of a quiet room is zeros', () => assertSilent(featuresOf(noise(0.006), 4)));
test('mains hum is zeros', () => assertSilent(featuresOf(together(sine(50, 0.007), sine(100, 0.003)), 4)));

for (const [hz, band] of [[100, 'low'], [1000, 'mid'], [5000, 'high']]) {
    test(`a tone of ${hz} Hz is in the band ${band} only, and stays as long as it sounds`, () => {
        const { level, low, mid, high, onset, beat } = featuresOf(sine(hz, 0.3), 5).at(-1);

        const others = { low, mid, high };
        delete others[band];
        assert.ok(level > 0.9);
        assert.ok({ low, mid, high }[band] > 0.9);
        assert.deepEqual(Object.values(others), [0, 0]);
        assert.deepEqual([onset, beat], [0, 0]);
    });
}

test('noise is in all bands, and steady: nothing begins in it', () => {
    const told = featuresOf(noise(0.4), 5);

    const { level, low, mid, high } = told.at(-1);
    assert.ok(level > 0.9 && low > 0.1 && mid > 0.4 && high > 0.9, JSON.stringify({ level, low, mid, high }));
    assert.ok(begins(told.slice(100), 'onset') <= 6);
});

for (const [name, sound] of [['clicks', clicks(120)], ['bass drums', kicks(120)]]) {
    test(`${name} at 120 a minute are one onset and one beat each, and tell the tempo`, () => {
        const told = featuresOf(sound, 8);

        assert.ok(Math.abs(begins(told, 'beat') - 16) <= 1, `${begins(told, 'beat')} beats`);
        assert.ok(Math.abs(begins(told, 'onset') - 16) <= 1, `${begins(told, 'onset')} onsets`);
        assert.ok(Math.abs(told.at(-1).tempo_bpm - 120) < 2);
    });
}

test('a beat is found under a chord and a room', () => {
    const told = featuresOf(together(kicks(90, 0.6), noise(0.03), sine(440, 0.1), sine(554, 0.1)), 8);

    assert.ok(Math.abs(told.at(-1).tempo_bpm - 90) < 2);
    assert.ok(Math.max(...told.slice(100).map(({ beat }) => beat)) > 0.9);
});

test('a quiet band far from the microphone is heard as one that plays beside it', () => {
    const loudest = (amplitude) => Math.max(...featuresOf(kicks(120, amplitude), 6).slice(150).map(({ low }) => low));

    assert.ok(loudest(0.9) > 0.9);
    assert.ok(loudest(0.05) > 0.6);
});

test('what fades out is told fading, down to nothing', () => {
    const told = featuresOf((t) => sine(300, 0.5)(t) * Math.max(0, 1 - t / 3), 4).map(({ level }) => level);

    const after = told.slice(15);
    assert.ok(after.every((level, index) => index === 0 || level <= after[index - 1] + 0.02));
    assert.ok(after[0] > 0.9 && after[60] > 0.4);
    assert.equal(told.at(-1), 0);
});

test('half a second after the music stops everything is zero', () => {
    const told = featuresOf((t) => (t < 3 ? together(kicks(120), noise(0.2))(t) : 0), 5);

    assertSilent(told.filter(({ t }) => t > 4).map((features) => ({ ...features, tempo_bpm: null })));
    assert.ok(told.filter(({ t }) => t > 3.6).every(({ level, low }) => level < 0.01 && low < 0.01));
});

test('the tempo is forgotten once no beat comes any more', () => {
    const told = featuresOf((t) => (t < 4 ? kicks(120)(t) : 0), 8);

    assert.ok(told.find(({ t }) => t > 3.9).tempo_bpm > 100);
    assert.equal(told.at(-1).tempo_bpm, null);
});
