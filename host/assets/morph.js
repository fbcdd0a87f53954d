// What is shown becomes what a newer page says, by changing as little as possible: focus, open details, selections and
// what scripts drew stay. Children are matched by `data-key`, else by their place among their like.

/** Brings `old` to what `now` says. */
export function morph(old, now) {
    const focused = document.activeElement;
    bring(old, now);
    // Moving an element takes the focus from it.
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function bring(old, now) {
    if (old.isEqualNode(now)) return;
    if (old.nodeType === Node.TEXT_NODE) {
        old.data = now.data;
        return;
    }
    bringAttributes(old, now);
    bringChildren(old, now);
}

/** What a reader opened stays open; whether a button is to be seen is for scripts to say. */
const KEPT = new Set(["open", "hidden", "aria-busy"]);

function bringAttributes(old, now) {
    for (const { name } of [...old.attributes]) {
        if (!now.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
    }
    for (const { name, value } of now.attributes) {
        if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
}

function bringChildren(old, now) {
    const spare = new Map();
    for (const child of old.childNodes) {
        const list = spare.get(key(child));
        if (list) list.push(child);
        else spare.set(key(child), [child]);
    }
    let place = old.firstChild;
    for (const wanted of now.childNodes) {
        const had = spare.get(key(wanted))?.shift();
        if (!had) {
            old.insertBefore(document.importNode(wanted, true), place);
            continue;
        }
        if (had === place) place = place.nextSibling;
        else old.insertBefore(had, place);
        if (!isOwn(had)) bring(had, wanted);
    }
    for (const left of [...spare.values()].flat()) {
        if (!isOwn(left)) left.remove();
    }
}

/** Belongs to scripts. */
function isOwn(node) {
    return node.nodeType === Node.ELEMENT_NODE && node.hasAttribute("data-own");
}

function key(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName;
    return `${node.nodeName} ${node.dataset.key ?? node.id ?? ""}`;
}
