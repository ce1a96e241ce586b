/**
 * What the page says, in the language that was chosen. Elements that are bound follow a change of it.
 *
 * A text may hold `{name}` for a value. A text with plural forms is a record of them (`one`, `few`, `many`,
 * `other`), chosen by the value `count` as the language wants it.
 */

import { LANGUAGES } from '../page/language.js';

/** @typedef {string | Partial<Record<Intl.LDMLPluralRule, string>>} Text */
/** @typedef {Record<string, Text>} Table By key. */
/** @typedef {Record<string, string | number>} Values */

/**
 * @typedef {object} Binding
 * @property {string} key
 * @property {Values} values
 */

/** @typedef {import('../page/language.js').Language} Language */

// What is bound to the element's content, not to one of its attributes.
const CONTENT = '';

export class Texts extends EventTarget {
    /** @type {Record<Language, Table>} */
    #tables = { en: {}, ru: {} };
    /** @type {Language} */
    #language;
    #numbers;
    #plurals;
    /** @type {WeakMap<Element, Map<string, Binding>>} */
    #bindings = new WeakMap();
    /**
     * Weakly: rows come and go all day.
     *
     * @type {Set<WeakRef<Element>>}
     */
    #bound = new Set();
    #pruneAt = 1024;

    /**
     * @param {Record<Language, Table>} tables
     * @param {Language} language
     */
    constructor(tables, language) {
        super();
        this.#language = language;
        this.#numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
        this.#plurals = new Intl.PluralRules(language);
        this.add(tables);
    }

    /** @returns {Language} */
    get language() {
        return this.#language;
    }

    /**
     * Know more texts: those of a part of the page.
     *
     * @param {Record<Language, Table>} tables
     */
    add(tables) {
        for (const language of LANGUAGES) {
            Object.assign(this.#tables[language], tables[language]);
        }
    }

    /**
     * Give a text; an unknown key is given back, so that it is seen.
     *
     * @param {string} key
     * @param {Values} [values] Numbers are written as the language writes them.
     */
    t(key, values = {}) {
        const text = this.#tables[this.#language][key];
        const form = typeof text === 'object' ? this.#form(text, Number(values.count)) : text;
        return (form ?? key).replace(/\{(\w+)\}/g, (hole, name) => {
            const value = values[name];
            return typeof value === 'number' ? this.#numbers.format(value) : value ?? hole;
        });
    }

    /** @param {string} code */
    setLanguage(code) {
        const language = LANGUAGES.find((known) => known === code) ?? 'en';
        if (language === this.#language) {
            return;
        }
        this.#language = language;
        this.#numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
        this.#plurals = new Intl.PluralRules(language);
        for (const reference of this.#bound) {
            const element = reference.deref();
            if (element === undefined) {
                this.#bound.delete(reference);
                continue;
            }
            for (const [attribute, binding] of this.#bindings.get(element) ?? []) {
                this.#write(element, attribute, binding);
            }
        }
        this.dispatchEvent(new Event('language'));
    }

    /**
     * Say something on an element, now and in every language to come; what was bound there before is replaced.
     *
     * @param {Element} element
     * @param {string} key
     * @param {{ attribute?: string, values?: Values }} [options]
     */
    bind(element, key, { attribute = CONTENT, values = {} } = {}) {
        let bindings = this.#bindings.get(element);
        if (bindings === undefined) {
            bindings = new Map();
            this.#bindings.set(element, bindings);
            this.#remember(element);
        }
        const binding = { key, values };
        bindings.set(attribute, binding);
        this.#write(element, attribute, binding);
    }

    /**
     * Let an element say nothing of its own any more.
     *
     * @param {Element} element
     * @param {string} [attribute]
     */
    unbind(element, attribute = CONTENT) {
        this.#bindings.get(element)?.delete(attribute);
    }

    /**
     * Bind what a page asks for: `data-t="key"`, and `data-t-attributes="aria-label:key title:key"`.
     *
     * @param {ParentNode} root
     */
    bindAll(root) {
        for (const element of root.querySelectorAll('[data-t]')) {
            this.bind(element, element.getAttribute('data-t') ?? '');
        }
        for (const element of root.querySelectorAll('[data-t-attributes]')) {
            for (const pair of (element.getAttribute('data-t-attributes') ?? '').split(/\s+/)) {
                const [attribute, key] = pair.split(':');
                this.bind(element, key, { attribute });
            }
        }
    }

    /**
     * @param {Partial<Record<Intl.LDMLPluralRule, string>>} forms
     * @param {number} count
     */
    #form(forms, count) {
        return forms[this.#plurals.select(count)] ?? forms.other;
    }

    /**
     * @param {Element} element
     * @param {string} attribute
     * @param {Binding} binding
     */
    #write(element, attribute, { key, values }) {
        const text = this.t(key, values);
        if (attribute !== CONTENT) {
            element.setAttribute(attribute, text);
        } else if (element.textContent !== text) {
            // Set only where it differs: a screen reader hears what is set.
            element.textContent = text;
        }
    }

    /** @param {Element} element */
    #remember(element) {
        this.#bound.add(new WeakRef(element));
        if (this.#bound.size > this.#pruneAt) {
            for (const reference of this.#bound) {
                if (reference.deref() === undefined) {
                    this.#bound.delete(reference);
                }
            }
            this.#pruneAt = Math.max(1024, 2 * this.#bound.size);
        }
    }
}
