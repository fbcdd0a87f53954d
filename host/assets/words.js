// Times and changes in words.

/** How long ago something was, roughly. */
export function age(time) {
    const seconds = Math.max(0, Math.round((Date.now() - time) / 1000));
    if (seconds < 60) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

/** `3 min ago`, `in 20 s`. */
export function distance(time) {
    return time > Date.now() + 500 ? `in ${age(2 * Date.now() - time)}` : `${age(time)} ago`;
}

/** Every time in the page says how long ago it is; the time itself shows when it is pointed at. */
export function tellTimes() {
    for (const time of document.querySelectorAll("time")) {
        const at = Date.parse(time.dateTime);
        const text = distance(at);
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
