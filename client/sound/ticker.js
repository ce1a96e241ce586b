/** A worker that posts a message again and again, as often as the first message to it says. */

addEventListener('message', ({ data }) => setInterval(() => postMessage(null), data), { once: true });
