/** Dialogs of the browser's own kind: they take the focus, give it back, and close with Escape. */

import { element } from '../dom.js';
import { newId } from './field.js';

/** @typedef {import('../texts.js').Texts} Texts */

/**
 * Make a dialog with a title and a button that closes it; it removes itself when it is closed.
 *
 * @param {Texts} texts
 * @param {string} className
 * @param {string} title Key of its text.
 * @param {import('../texts.js').Values} [values]
 */
export function makeDialog(texts, className, title, values = {}) {
    const id = newId('dialog');
    const heading = element('h2', { className: 'dialog-title', id });
    texts.bind(heading, title, { values });
    const close = element('button', { className: 'button', type: 'button' });
    texts.bind(close, 'canvases.close');
    const head = element('header', { className: 'dialog-head' }, heading, close);
    const dialog = element('dialog', { className: `dialog ${className}`, 'aria-labelledby': id }, head);
    close.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    return dialog;
}

/**
 * @typedef {object} Question
 * @property {string} title Key of its text, as the next two.
 * @property {string} text
 * @property {string} action
 * @property {() => import('../texts.js').Values | null} values Of the texts, as they are by now; null: there is
 *     nothing to be asked any more.
 */

/**
 * Ask before what cannot be undone. What it asks about may change while nobody answers: the question says so, and
 * goes where it has become void.
 *
 * @param {Texts} texts
 * @param {Question} question
 * @param {{ source: EventTarget, type: string }} news What tells that the values may have changed.
 * @returns {Promise<boolean>}
 */
export function confirmed(texts, { title, text, action, values }, { source, type }) {
    const id = newId('dialog');
    const heading = element('h2', { className: 'dialog-title', id });
    const words = element('p', { id: `${id}-text` });
    const no = element('button', { className: 'button', value: '' });
    const yes = element('button', { className: 'button button-danger', value: 'yes' });
    texts.bind(no, 'canvases.cancel');
    const actions = element('div', { className: 'dialog-actions' }, no, yes);
    const form = element('form', { method: 'dialog' }, heading, words, actions);
    const dialog = element(
        'dialog',
        { className: 'dialog', role: 'alertdialog', 'aria-labelledby': id, 'aria-describedby': `${id}-text` },
        form,
    );
    const following = new AbortController();
    const follow = () => {
        const now = values();
        if (now === null) {
            dialog.close('');
            return;
        }
        texts.bind(heading, title, { values: now });
        texts.bind(words, text, { values: now });
        texts.bind(yes, action, { values: now });
    };
    source.addEventListener(type, follow, { signal: following.signal });
    document.body.append(dialog);
    return new Promise((resolve) => {
        dialog.addEventListener('close', () => {
            following.abort();
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        });
        dialog.showModal();
        follow();
    });
}
