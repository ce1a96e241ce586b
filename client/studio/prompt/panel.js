/** The prompt: what to paint, how, and where. Puts the parts of the form together and sends it. */

import { ApiError, newKey } from '../api.js';
import { find } from '../dom.js';
import { Batch } from '../frames.js';
import { tell } from '../problems.js';
import { Choices } from './choices.js';
import { Form } from './form.js';
import { limitsOf } from './limits.js';
import { Pictures } from './pictures.js';
import { Sender } from './sender.js';
import { Targets } from './targets.js';
import { EMPTY, MOST_SEED, bodyOf, problemOf, readDraft, valuesOf } from './values.js';

/**
 * @typedef {object} PromptServices
 * @property {import('../store.js').Store} store
 * @property {import('../api.js').Api} api
 * @property {import('../texts.js').Texts} texts
 * @property {import('../memory.js').Memory} memory
 * @property {import('../../stream/environment.js').Environment} environment
 * @property {(message: string, kind?: import('../toasts.js').ToastKind) => void} notify
 */

// Nobody types for longer without a pause and loses it.
const KEEP_MS = 400;

export class PromptPanel {
    #store;
    #texts;
    #memory;
    #environment;
    #notify;
    #form;
    #choices;
    #pictures;
    #sender;
    #limits = limitsOf(null, []);
    /** @type {any} */
    #keepTimer = null;
    /** Whether the form says that the server does not answer. */
    #isUnanswered = false;
    #field = /** @type {HTMLTextAreaElement} */ (find('#field-prompt'));

    /** @param {PromptServices} services */
    constructor({ store, api, texts, memory, environment, notify }) {
        this.#store = store;
        this.#texts = texts;
        this.#memory = memory;
        this.#environment = environment;
        this.#notify = notify;
        const root = /** @type {HTMLFormElement} */ (find('#prompt-form'));
        this.#form = new Form(root, texts);
        this.#choices = new Choices(store, texts, () => this.#keepSoon());
        this.#pictures = new Pictures(api, texts, (field, message) => this.#form.showProblem(field, message));
        this.#sender = new Sender(api, newKey);
        void new Targets(store, texts, memory, environment);
        this.#form.fill(readDraft(memory.get('draft')));
        this.#listen(root);
        this.#showLimits();
        this.#showSend();
    }

    focus() {
        this.#field.focus();
        this.#field.select();
    }

    /** Send the form as it stands. */
    async send() {
        const { values } = this.#form;
        const aim = this.#aim();
        const problem = this.#pictures.isUploading && values.source === 'upload'
            ? { field: 'upload', key: 'problem.uploading' }
            : problemOf(values, aim);
        if (problem !== null) {
            this.#isUnanswered = false;
            this.#form.showProblem(problem.field, this.#texts.t(problem.key, problem.values));
            return;
        }
        if (this.#sender.isBusy) {
            return;
        }
        this.#form.clearProblems();
        this.#isUnanswered = false;
        try {
            const sending = this.#sendRenewing(values);
            this.#showSend();
            const jobs = await sending;
            const isAlone = aim.canvases.length === 0;
            this.#notify(
                this.#texts.t(isAlone ? 'prompt.sent_alone' : 'prompt.sent', { count: jobs?.length ?? 0 }),
                'ok',
            );
        } catch (error) {
            const field = error instanceof ApiError ? error.field : null;
            this.#form.showProblem(field, tell(error, this.#texts));
            this.#isUnanswered = error instanceof ApiError && error.code === 'unreachable';
        } finally {
            this.#showSend();
        }
    }

    /**
     * Fill the form with all that a job was made with.
     *
     * @param {import('../jobs/book.js').JobRecord} job
     * @param {import('../jobs/book.js').ImageRecord | null} [image] Of its pictures.
     */
    use(job, image = null) {
        this.#form.fill(valuesOf(job, image));
        this.#store.selectOnly(job.canvas === null ? [] : [job.canvas]);
        this.#showLimits();
        this.#keepSoon();
        this.focus();
        this.#notify(this.#texts.t('prompt.reused', { prompt: job.prompt.slice(0, 60) }));
        if (job.parameters.strength !== null) {
            this.#notify(this.#texts.t('prompt.source_not_kept'));
        }
    }

    /** @param {HTMLFormElement} root */
    #listen(root) {
        root.addEventListener('submit', (event) => {
            event.preventDefault();
            void this.send();
        });
        root.addEventListener('input', (event) => this.#changed(/** @type {HTMLElement} */ (event.target)));
        find('#draw-seed').addEventListener('click', () => {
            const values = { ...this.#form.values, seeding: 'keep', seed: drawSeed() };
            this.#form.fill(values);
            this.#keepSoon();
        });
        find('#reset').addEventListener('click', () => {
            this.#form.fill(EMPTY);
            this.#showLimits();
            this.#keepSoon();
            this.focus();
        });
        this.#store.addEventListener('offers', () => {
            this.#choices.show();
            this.#showLimits();
        });
        addEventListener('pagehide', () => {
            // Only what was typed here just now: another tab may have a newer draft.
            if (this.#keepTimer !== null) {
                this.#environment.clearTimer(this.#keepTimer);
                this.#keep();
            }
        });
        const limits = new Batch(() => this.#showLimits(), this.#environment.requestFrame);
        this.#store.addEventListener('selection', limits.request);
        this.#store.addEventListener('canvases', limits.request);
        this.#store.addEventListener('access', () => this.#showSend());
        this.#store.addEventListener('connection', () => {
            if (this.#isUnanswered && this.#store.connection === 'up') {
                // It answers again: what was said of it is not so any more.
                this.#isUnanswered = false;
                this.#form.clearProblem();
            }
        });
        this.#texts.addEventListener('language', () => {
            this.#showLimits();
            this.#showSend();
        });
    }

    /** @param {HTMLElement} target */
    #changed(target) {
        const { values } = this.#form;
        if (target.id === 'field-model') {
            this.#showLimits();
        } else if (target.id === 'field-width' || target.id === 'field-height') {
            this.#choices.showShape();
        } else if (values.seeding === 'keep' && values.seed === '' && target.id !== 'field-seed') {
            this.#form.fill({ ...values, seed: drawSeed() });
        }
        this.#keepSoon();
    }

    /** @param {import('./values.js').Values} values */
    async #sendRenewing(values) {
        try {
            return await this.#sender.send(bodyOf(values, this.#aim()));
        } catch (error) {
            const field = error instanceof ApiError ? error.field : null;
            const isForgotten = values.source === 'upload' && (field === 'source' || field === 'mask');
            if (!isForgotten || !(await this.#pictures.renew())) {
                throw error;
            }
            return this.#sender.send(bodyOf(values, this.#aim()));
        }
    }

    #aim() {
        return {
            canvases: [...this.#store.selection],
            sourceId: this.#pictures.sourceId,
            maskId: this.#limits.unused.includes('mask') ? null : this.#pictures.maskId,
            rules: this.#limits.rules,
        };
    }

    #showLimits() {
        const name = this.#form.values.model;
        const model = this.#store.model(name);
        const canvases = this.#store.canvases.filter((canvas) => this.#store.selection.has(canvas.slug));
        this.#limits = limitsOf(model, /** @type {any[]} */ (canvases));
        const { rules, defaults, unused } = this.#limits;
        for (const [field, { min, max }] of Object.entries(rules)) {
            const input = /** @type {HTMLInputElement} */ (find(`[name="${field}"]`));
            input.min = String(min);
            input.max = String(max);
            input.placeholder = defaults[field] ?? '';
        }
        const values = { model: model?.name ?? name };
        for (const field of ['negative_prompt', 'guidance_scale']) {
            const isUnused = unused.includes(field);
            this.#form.setUnused(field, isUnused);
            this.#form.note(field, isUnused ? 'limit.unused' : null, values);
        }
        this.#form.note('source', unused.includes('source') ? 'limit.no_source' : null, values);
        this.#form.note('mask', unused.includes('mask') ? 'limit.no_mask' : null, values);
        this.#pictures.allowMask(!unused.includes('mask'));
        this.#form.note('steps', model ? 'limit.steps' : null, { max: rules.steps.max });
        this.#showModel(model);
        this.#choices.showShapes(rules.width);
    }

    /** @param {import('../store.js').ModelRecord | null} model */
    #showModel(model) {
        const { offersProblem } = this.#store;
        if (offersProblem !== null) {
            this.#form.note('model', 'offers.waiting', { problem: tell(offersProblem, this.#texts) });
        } else if (model?.state === 'failed') {
            this.#form.note('model', 'model.failed', { error: model.error });
        } else if (model?.state === 'loading') {
            this.#form.note('model', 'service.loading', { model: model.name });
        } else {
            this.#form.note('model', null);
        }
    }

    #showSend() {
        const { isLocked } = this.#store;
        const { isBusy } = this.#sender;
        // Not `disabled`: the focus stays where it is.
        find('#send').setAttribute('aria-disabled', String(isBusy));
        const idle = isLocked ? 'prompt.log_in_and_send' : 'prompt.send';
        this.#texts.bind(find('#send-text'), isBusy ? 'prompt.sending' : idle);
    }

    #keepSoon() {
        this.#environment.clearTimer(this.#keepTimer);
        this.#keepTimer = this.#environment.setTimer(() => this.#keep(), KEEP_MS);
    }

    #keep() {
        this.#keepTimer = null;
        this.#memory.set('draft', JSON.stringify(this.#form.values));
    }
}

/** Draw a seed that can be read out and typed again. */
function drawSeed() {
    return String(Math.floor(Math.random() * (MOST_SEED + 1)));
}
