/** The dialog that makes a canvas. */

import { element } from '../dom.js';
import { isSlug } from '../../page/options.js';
import { tell } from '../problems.js';
import { makeDialog } from './dialog.js';
import { Field, newId } from './field.js';
import { SETTINGS } from './settings.js';

/** @typedef {import('./settings.js').Value} Value */

// What is left empty is as the server has it.
const SIZE_AND_RATE = SETTINGS.picture
    .filter(({ name }) => ['width', 'height', 'fps'].includes(name))
    .map((setting) => ({ ...setting, isOptional: true }));

/**
 * @param {object} services
 * @param {import('../api.js').Api} services.api
 * @param {import('../texts.js').Texts} services.texts
 */
export function openCreateDialog({ api, texts }) {
    const dialog = makeDialog(texts, 'canvas-create', 'canvases.new');
    const slug = makeSlug(texts);
    /** @type {Record<string, Value | undefined>} */
    const body = {};
    const fields = SIZE_AND_RATE.map((setting) => {
        const field = new Field(setting, texts, (value) => {
            body[setting.name] = value ?? undefined;
        });
        return field;
    });
    const hint = element('p', { className: 'field-note' });
    texts.bind(hint, 'canvases.create-hint');
    const failure = element('p', { className: 'form-error', role: 'alert' });
    const submit = element('button', { className: 'button button-primary', type: 'submit' });
    texts.bind(submit, 'canvases.create');
    const form = element(
        'form',
        { className: 'canvas-create-form', noValidate: true },
        slug.root, ...fields.map((field) => field.root), hint, failure,
        element('div', { className: 'dialog-actions' }, submit),
    );
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        void create();
    });
    const create = async () => {
        const isWrong = fields.some((field) => field.isWrong);
        if (!slug.check() || isWrong) {
            return;
        }
        submit.disabled = true;
        failure.textContent = '';
        try {
            await api.post('/canvases', { slug: slug.input.value.trim(), ...body });
            dialog.close();
        } catch (error) {
            const { field: name } = /** @type {import('../api.js').ApiError} */ (error);
            const message = tell(error, texts);
            const field = fields.find((each) => each.name === name);
            if (name === 'slug') {
                slug.complain(message);
            } else if (field === undefined) {
                failure.textContent = message;
            } else {
                field.complain(message);
            }
        } finally {
            submit.disabled = false;
        }
    };
    dialog.append(form);
    dialog.showModal();
    slug.input.focus();
}

/** @param {import('../texts.js').Texts} texts */
function makeSlug(texts) {
    const id = newId('field');
    const input = element('input', {
        id, type: 'text', maxLength: 64, autocomplete: 'off', spellcheck: false, required: true,
        'aria-describedby': `${id}-hint`,
    });
    input.setAttribute('autocapitalize', 'none');
    const label = element('label', { htmlFor: id });
    texts.bind(label, 'canvases.slug');
    const hint = element('p', { className: 'field-note', id: `${id}-hint` });
    texts.bind(hint, 'canvases.slug-hint');
    const error = element('p', { className: 'field-error', role: 'alert', hidden: true });
    const controls = element('div', { className: 'setting-controls' }, input);
    const root = element('div', { className: 'field' }, label, controls, hint, error);
    const complain = (/** @type {string | null} */ message) => {
        error.hidden = message === null;
        error.textContent = message ?? '';
        input.setAttribute('aria-invalid', String(message !== null));
        if (message !== null) {
            input.focus();
        }
    };
    const check = () => {
        const isRight = isSlug(input.value.trim());
        complain(isRight ? null : texts.t('canvases.slug-hint'));
        return isRight;
    };
    input.addEventListener('input', () => complain(null));
    return { root, input, check, complain };
}
