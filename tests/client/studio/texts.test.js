import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TEXTS as CANVASES } from '../../../client/studio/canvases/texts.js';
import { TEXTS as SOUND } from '../../../client/studio/sound/texts.js';
import { EN } from '../../../client/studio/texts/en.js';
import { RU } from '../../../client/studio/texts/ru.js';
import { Texts } from '../../../client/studio/texts.js';
import { FakeElement } from './fakes.js';

const CLIENT = new URL('../../../client/', import.meta.url).pathname;

const TABLES = {
    en: {
        plain: 'hello',
        named: '{name} of {total}',
        counted: { one: '{count} canvas', other: '{count} canvases' },
    },
    ru: {
        plain: 'привет',
        named: '{name} из {total}',
        counted: { one: '{count} холст', few: '{count} холста', many: '{count} холстов', other: '{count} холста' },
    },
};

const files = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
});

// Keys whose last part is a value of the server's: every value has its text.
const VALUES = {
    kind: ['live', 'once', 'variations', 'playlist', 'ingest', 'test', 'drawing'],
    model: ['not_loaded', 'loading', 'ready', 'failed', 'unspecified'],
    connection: ['up', 'down', 'first', 'ended'],
    ended: ['cancelled', 'superseded', 'skipped', 'cleared', 'deleted', 'stopped'],
};

test('both languages say the same things', () => {
    assert.deepEqual(Object.keys(RU), Object.keys(EN));
    for (const tables of [CANVASES, SOUND]) {
        assert.deepEqual(Object.keys(tables.ru).sort(), Object.keys(tables.en).sort());
    }
});

test('a text asks for the same values in both languages', () => {
    const holes = (text) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g) ?? [])].sort();

    for (const key of Object.keys(EN)) {
        assert.deepEqual(holes(RU[key]), holes(EN[key]), key);
    }
});

test('plural texts have every form that their language needs', () => {
    for (const [language, table] of [['en', EN], ['ru', RU]]) {
        const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
        for (const [key, text] of Object.entries(table)) {
            if (typeof text === 'object') {
                assert.deepEqual(Object.keys(text).sort(), [...forms].sort(), key);
            }
        }
    }
});

test('everything that the page and its modules say has its text', () => {
    const known = { ...EN, ...CANVASES.en, ...SOUND.en };
    const used = new Set(Object.entries(VALUES).flatMap(([prefix, values]) => values.map((v) => `${prefix}.${v}`)));
    const html = readFileSync(join(CLIENT, 'studio.html'), 'utf8');
    for (const [, key] of html.matchAll(/data-t="([^"]*)"/g)) {
        used.add(key);
    }
    for (const [, pairs] of html.matchAll(/data-t-attributes="([^"]*)"/g)) {
        pairs.split(' ').forEach((pair) => used.add(pair.split(':')[1]));
    }
    for (const path of files(join(CLIENT, 'studio'))) {
        const source = readFileSync(path, 'utf8');
        const isTable = path.includes('texts');
        for (const [, key] of isTable ? [] : source.matchAll(/'((?:[a-z]+)\.[a-z_]+)'/g)) {
            if (Object.keys(EN).some((one) => one.startsWith(`${key.split('.')[0]}.`))) {
                used.add(key);
            }
        }
    }

    const missing = [...used].filter((key) => !(key in known));
    assert.deepEqual(missing, []);
    assert.ok(used.size > 100);
});

test('no text is kept that nobody says', () => {
    const sources = [...files(join(CLIENT, 'studio')), join(CLIENT, 'studio.html')]
        .filter((path) => !path.includes('/texts/'))
        .map((path) => readFileSync(path, 'utf8'))
        .join('\n');
    const byValue = new Set(Object.entries(VALUES).flatMap(([prefix, values]) => values.map((v) => `${prefix}.${v}`)));

    const unused = Object.keys(EN).filter((key) => {
        // The words of a control are named with what it does: `jobs.cancel` and `jobs.cancel_what`.
        const base = key.replace(/_what$/, '');
        const isSaid = (one) => new RegExp(`['":]${one.replace('.', '\\.')}['" ]`).test(sources);
        return !byValue.has(key) && ![key, base].some(isSaid);
    });

    assert.deepEqual(unused, []);
});

test('values are put in, numbers as the language writes them', () => {
    const texts = new Texts(TABLES, 'en');

    assert.equal(texts.t('named', { name: 'one', total: 12345.5 }), 'one of 12,345.5');
    assert.equal(texts.t('named', { name: 'one' }), 'one of {total}');
    assert.equal(texts.t('unknown.key'), 'unknown.key');
});

test('plural forms follow the language', () => {
    const texts = new Texts(TABLES, 'ru');

    const said = [1, 3, 5, 21, 1.5].map((count) => texts.t('counted', { count }));

    assert.deepEqual(said, ['1 холст', '3 холста', '5 холстов', '21 холст', '1,5 холста']);
});

test('what is bound follows a change of the language, the newest binding only', () => {
    const texts = new Texts(TABLES, 'en');
    const element = new FakeElement();
    let changes = 0;
    texts.addEventListener('language', () => {
        changes += 1;
    });
    texts.bind(element, 'plain');
    texts.bind(element, 'counted', { attribute: 'aria-label', values: { count: 2 } });
    texts.bind(element, 'counted', { attribute: 'aria-label', values: { count: 5 } });

    texts.setLanguage('ru');
    texts.setLanguage('ru');

    assert.equal(element.textContent, 'привет');
    assert.equal(element.getAttribute('aria-label'), '5 холстов');
    assert.equal(texts.language, 'ru');
    assert.equal(changes, 1);
});

test('what was unbound keeps what was written there since', () => {
    const texts = new Texts(TABLES, 'en');
    const element = new FakeElement();
    texts.bind(element, 'plain');
    texts.unbind(element);
    element.textContent = 'its own';

    texts.setLanguage('ru');

    assert.equal(element.textContent, 'its own');
});
