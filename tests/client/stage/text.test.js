import assert from 'node:assert/strict';
import test from 'node:test';

import { LIMITS, clean } from '../../../client/stage/text.js';

/** What strangers write, and what of it is shown. */
const TEXTS = [
    ['plain words', 'a red fox', 'a red fox'],
    ['markup stays what was written', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
    ['entities stay what was written', '&lt;b&gt; &amp;', '&lt;b&gt; &amp;'],
    ['templates and scripts are words', '${1+1}{{7*7}}javascript:alert(1)', '${1+1}{{7*7}}javascript:alert(1)'],
    ['lines become one', 'one\r\n\n\ntwo\tthree\u2028four\u2029five\u0085six', 'one two three four five six'],
    ['spaces are one', '  a \u00a0\u3000\u2003  b\u2800\u2800c  ', 'a b c'],
    ['control characters go', 'a\u0000b\u0007c\u001b[31md\u007fe\u009bf', 'abc[31mdef'],
    ['the order of reading is not turned', '\u202egpj.exe\u202c and \u2066x\u2069\u200f\u061c', 'gpj.exe and x'],
    ['what nobody sees goes', 'a\u200bb\ufeffc\u00add\u2060e\u2063f\u034fg', 'abcdefg'],
    ['nothing but what nobody sees is nothing', '\u200b\u200d\u2800\u3164\u115f\ufeff\u00ad\u200f', ''],
    ['a flood of joiners goes', `a${'\u200d\u200c'.repeat(500)}b`, 'a\u200db'],
    ['joiners beside nothing go', '\u200dabc\u200d \u200cdef\u200c', 'abc def'],
    ['marks are not piled up', `Z${'\u0335\u0321\u0489'.repeat(100)}algo`, 'Z\u0335\u0321\u0489\u0335algo'],
    ['marks with joiners between are not, either', `a${'\u200c\u0301'.repeat(50)}b`, `a${'\u200c\u0301'.repeat(4)}b`],
    ['a mark needs a letter', '\u0301\u0301\u0301abc', 'abc'],
    ['halves of pairs go', 'a\ud83db\ude00c\ud83d', 'abc'],
    ['letters that spell nothing go', 'hi\u{e0068}\u{e0069}\u{e007f}!', 'hi!'],
    ['emoji stay whole', '👩‍👩‍👧‍👦 👍🏽 ❤️ 🏳️‍🌈 🇺🇦', '👩‍👩‍👧‍👦 👍🏽 ❤️ 🏳️‍🌈 🇺🇦'],
    ['the flag of Scotland stays', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', '🏴󠁧󠁢󠁳󠁣󠁴󠁿'],
    ['Russian', 'Ёжик в тумане', 'Ёжик в тумане'],
    ['Arabic', 'مَرْحَبًا بالعالم', 'مَرْحَبًا بالعالم'],
    ['Hebrew with points', 'שָׁלוֹם', 'שָׁלוֹם'],
    ['Persian keeps its joiner', 'می\u200cخواهم', 'می\u200cخواهم'],
    ['Hindi keeps its joiner', 'क्\u200dष', 'क्\u200dष'],
    ['Thai', 'น้ำที่นี่', 'น้ำที่นี่'],
    ['Japanese', '葛\u{e0100}飾区', '葛\u{e0100}飾区'],
];

for (const [name, written, shown] of TEXTS) {
    test(`cleaning: ${name}`, () => {
        assert.equal(clean(written, 200), shown);
    });
}

test('cleaning twice changes nothing more', () => {
    for (const [, written] of TEXTS) {
        const once = clean(written, 200);
        assert.equal(clean(once, 200), once);
    }
});

test('what is no text is empty', () => {
    for (const written of [null, undefined, 7, true, {}, ['a'], new Uint8Array(3)]) {
        assert.equal(clean(written, 10), '');
    }
});

test('a long text ends in an ellipsis, at its length and not within a sign', () => {
    assert.equal(clean('abcdefghij', 10), 'abcdefghij');
    assert.equal(clean('abcdefghijk', 10), 'abcdefghi…');
    assert.equal(clean('👍'.repeat(20), 5), '👍👍👍👍…');
    assert.equal(clean('ab👩‍👩‍👧', 5), 'ab👩…');
    assert.equal(clean('one two three', 5), 'one…');
});

test('no length of text takes long', () => {
    const floods = ['\u0301', '\u200d', ' ', 'a\u200d', '\u{1f3f4}\u{e0067}', '\u200c\u0301', '\ud83d'];
    const before = performance.now();

    for (const flood of floods) {
        clean(flood.repeat(200_000), LIMITS.prompt);
    }

    assert.ok(performance.now() - before < 500);
});
