/** A page that listens: a microphone, and what is sent of it. */

import { browserSound } from './environment.js';
import { Listener } from './listener.js';
import { Pacer } from './pacer.js';

/**
 * Listen until `close`. It goes on while the page is hidden: somebody wanted it, and the browser shows that it listens.
 *
 * @param {object} handlers
 * @param {(message: import('./pacer.js').AudioMessage) => void} handlers.send Called at most 20 times a second, and
 *     never while it is silent.
 * @param {(state: import('./listener.js').SoundState) => void} handlers.onState
 * @param {import('./environment.js').SoundEnvironment} [environment]
 */
export function openMicrophone({ send, onState }, environment = browserSound()) {
    const pacer = new Pacer(send, environment);
    const listener = new Listener(
        {
            onFeatures: (features) => pacer.offer(features),
            onState: (state) => {
                if (state.state !== 'listening') {
                    // What was loud a moment ago must not stay so for ever.
                    pacer.silence();
                }
                onState(state);
            },
        },
        environment,
    );
    void listener.listen();
    return {
        close: () => listener.stop(),
    };
}
