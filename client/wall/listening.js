/** `?audio=mic`: what this page hears moves the pictures that it shows. */

/**
 * @typedef {object} Listening
 * @property {(handlers: {
 *     send: (message: { type: string } & Record<string, unknown>) => void,
 *     onState: (state: import('../sound/listener.js').SoundState) => void,
 * }) => unknown} openMicrophone
 * @property {() => Pick<import('./tile.js').Tile, 'features' | 'send'>[]} tiles Of the page, now.
 * @property {Pick<import('../page/notice.js').Notice, 'show' | 'clear'>} notice
 * @property {import('./texts.js').Say} say
 * @property {DOMStringMap} dataset Where `sound` says how the microphone is: `listening`, say, or why it is not.
 */

// Of a server that lets this screen be heard.
const FEATURE = 'audio';

/** @type {Record<import('../sound/listener.js').Reason, string>} */
const REASONS = {
    refused: 'refusedMicrophone',
    absent: 'absentMicrophone',
    busy: 'busyMicrophone',
    lost: 'lostMicrophone',
    insecure: 'insecure',
    unsupported: 'unsupported',
    undecodable: 'unsupported',
};

/**
 * Listen, and send what is heard to every canvas of the page whose server wants it from here.
 *
 * @param {Listening} parts
 */
export function listen({ openMicrophone, tiles, notice, say, dataset }) {
    let told = '';
    /** Say a thing once: what is tried again and again fails again and again. */
    const tell = (/** @type {string} */ key) => {
        if (key !== told) {
            told = key;
            notice.show(say(key));
        }
    };
    openMicrophone({
        send: (message) => {
            const shown = tiles();
            const heard = shown.filter((tile) => tile.send(FEATURE, message));
            // The server has greeted every one, and none may be heard: it has a token, and this browser has not.
            if (heard.length === 0 && shown.length > 0 && shown.every(({ features }) => features !== null)) {
                tell('token');
            }
        },
        onState: ({ state, reason }) => {
            dataset.sound = reason ?? state;
            if (state === 'waiting') {
                tell('waiting');
            } else if (state === 'failed' && reason !== undefined) {
                tell(REASONS[reason]);
            } else if (state === 'listening') {
                told = '';
                notice.clear();
            }
        },
    });
}
