import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../client/studio/api.js';
import { tell } from '../../../client/studio/problems.js';
import { Texts } from '../../../client/studio/texts.js';
import { EN } from '../../../client/studio/texts/en.js';
import { RU } from '../../../client/studio/texts/ru.js';

const english = new Texts({ en: EN, ru: RU }, 'en');
const russian = new Texts({ en: EN, ru: RU }, 'ru');

const AWAY = new ApiError(0, 'unreachable', 'the server does not answer');
const PROXY = new ApiError(502, 'http', 'the server answered 502');
const FULL = new ApiError(503, 'full', 'the queue of left holds 100 jobs');

test('what the page itself finds out is told in the language of the page', () => {
    assert.equal(tell(AWAY, english), 'the server does not answer');
    assert.equal(tell(AWAY, russian), 'сервер не отвечает');
    assert.equal(tell(PROXY, english), 'the server answered 502');
    assert.equal(tell(PROXY, russian), 'сервер ответил 502');
});

test('what the server says is told as it is in English, and after a word of our own in Russian', () => {
    assert.equal(tell(FULL, english), 'the queue of left holds 100 jobs');
    assert.equal(tell(FULL, russian), 'на сервере больше нет места: the queue of left holds 100 jobs');
});

test('what has no words of its own is told as it came', () => {
    assert.equal(tell(new ApiError(418, 'teapot', 'short and stout'), russian), 'short and stout');
    assert.equal(tell(new TypeError('no such thing'), russian), 'no such thing');
    assert.equal(tell('nothing at all', english), 'nothing at all');
});
