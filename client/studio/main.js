/** The page of `/studio`: puts the parts together and gives them the browser's events. */

import { chooseLanguage } from '../page/language.js';
import { socketUrl } from '../page/urls.js';
import { openScreens } from '../screen/screens.js';
import { browser } from '../stream/environment.js';
import { Api } from './api.js';
import { CanvasesPanel } from './canvases/panel.js';
import { find } from './dom.js';
import { Feed } from './feed.js';
import { JobsPanel } from './jobs/panel.js';
import { ResultsPanel } from './jobs/results.js';
import { commandOf, takesText } from './keys.js';
import { Login } from './login.js';
import { Memory } from './memory.js';
import { PromptPanel } from './prompt/panel.js';
import { SoundPanel } from './sound/panel.js';
import { Store } from './store.js';
import { EN } from './texts/en.js';
import { RU } from './texts/ru.js';
import { Texts } from './texts.js';
import { Toasts } from './toasts.js';
import { Topbar } from './topbar.js';

const environment = browser;
const memory = new Memory(() => localStorage);
const asked = new URLSearchParams(location.search).get('lang');
const wishes = [asked ?? '', memory.get('language') ?? '', ...navigator.languages];
const texts = new Texts({ en: EN, ru: RU }, chooseLanguage(null, wishes));
texts.bindAll(document);

const store = new Store(() => environment.nowMs());
const { notify } = new Toasts(find('#toasts'), texts, environment);
const login = new Login({ store, texts, notify });
const api = new Api({
    fetch: (url, init) => fetch(url, init),
    login: () => {
        // A request was refused: the login has run out, or was ended in another tab.
        store.setAccess({ needsToken: true, isAuthorised: false });
        return login.ask();
    },
    setTimer: (callback, delayMs) => environment.setTimer(callback, delayMs),
    clearTimer: (handle) => environment.clearTimer(handle),
});
login.use(api);

const topbar = new Topbar({ store, api, texts, memory, notify, logIn: () => login.ask() });
const prompt = new PromptPanel({ store, api, texts, memory, environment, notify });
void new JobsPanel({ store, api, texts, environment, notify, onUse: (job) => prompt.use(job) });
void new ResultsPanel({
    store, texts, environment, notify,
    onUse: ({ job, image }) => prompt.use(job, image),
    more: () => feed.more(),
});

const screens = await openScreens();
const canvases = new CanvasesPanel(find('#canvases'), { store, api, screens, texts, environment, notify });
void new SoundPanel(find('#sound'), { store, api, texts, environment, notify, canvases });

const feed = new Feed({
    store, api, environment,
    gate: screens.gate,
    url: socketUrl('/ws', location.href),
    isVisible: () => !document.hidden,
});

const COMMANDS = {
    blank: () => void topbar.toggleBlank(),
    keys: () => topbar.showKeys(),
    leave: () => /** @type {HTMLElement} */ (document.activeElement).blur(),
    prompt: () => prompt.focus(),
    send: () => void prompt.send(),
};

document.addEventListener('keydown', (press) => {
    const target = press.target instanceof HTMLElement ? press.target : null;
    const hasDialog = document.querySelector('dialog[open]') !== null;
    const command = commandOf(press, { isTyping: takesText(target), hasDialog });
    if (command !== null) {
        press.preventDefault();
        COMMANDS[command]();
    }
});

document.addEventListener('visibilitychange', () => {
    if (!document.hidden) {
        feed.wake();
    }
});

// Of two windows side by side none is ever hidden, and the other one may have ended the login.
addEventListener('focus', () => feed.askAccess());

feed.open();
