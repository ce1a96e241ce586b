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
 * Ask before what cannot be undone.
 *
 * @param {Texts} texts
 * @param {{ title: string, text: string, action: string, values: import('../texts.js').Values }} question Keys of
 *     texts.
 * @returns {Promise<boolean>}
 */
export function confirmed(texts, { title, text, action, values }) {
    const id = newId('dialog');
    const heading = element('h2', { className: 'dialog-title', id });
    const words = element('p', { id: `${id}-text` });
    const no = element('button', { className: 'button', value: '' });
    const yes = element('button', { className: 'button button-danger', value: 'yes' });
    texts.bind(heading, title, { values });
    texts.bind(words, text, { values });
    texts.bind(no, 'canvases.cancel');
    texts.bind(yes, action, { values });
    const actions = element('div', { className: 'dialog-actions' }, no, yes);
    const form = element('form', { method: 'dialog' }, heading, words, actions);
    const dialog = element(
        'dialog',
        { className: 'dialog', role: 'alertdialog', 'aria-labelledby': id, 'aria-describedby': `${id}-text` },
        form,
    );
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener('close', () => {
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        });
    });
}
