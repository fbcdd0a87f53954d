// Times and changes in words.

/** How far the host's clock is ahead of the browser's, in milliseconds. */
let ahead = 0;

/** Times are the host's: what its answers are dated with is what it takes for now. */
export function setClock(date) {
    const difference = Date.parse(date) - Date.now();
    // A date has whole seconds, and was on its way.
    if (Math.abs(difference - ahead) > 2000) ahead = difference;
}

/** What the host takes for now. */
export function now() {
    return Date.now() + ahead;
}

/** How long ago something was, roughly. */
export function age(time) {
    const seconds = Math.max(0, Math.round((now() - time) / 1000));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

/** `3 min ago`, `in 20 s`. */
export function distance(time) {
    return time > now() + 500 ? `in ${age(2 * now() - time)}` : `${age(time)} ago`;
}

/**
 * Every time in the page says how long ago it is; the time itself shows when it is pointed at. While the host is gone,
 * nobody knows for how much longer anything was so.
 */
export function tellTimes() {
    if (document.documentElement.classList.contains("lost")) return;
    for (const time of document.querySelectorAll("time")) {
        const at = Date.parse(time.dateTime);
        const text = time.classList.contains("since") ? `for ${age(at)}` : distance(at);
        if (time.textContent !== text) time.textContent = text;
        const title = new Date(at).toLocaleString();
        if (time.title !== title) time.title = title;
    }
}

/** Says something to those who do not see what changed. */
export function announce(text) {
    document.querySelector("#say").textContent = text;
}

/** An element with its text or children. */
export function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}
