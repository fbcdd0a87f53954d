// Keeps the page up to date: the host's events tell when to look, and without them it is looked every few seconds. What
// is shown while the host cannot be reached says how old it is.

import { age, announce, now, setClock } from "./words.js";

const POLL_MS = 5000;
const RETRY_MS = 2000;
const STREAM_AGAIN_MS = 30000;
const PATIENCE_MS = 15000;
const EVENTS = ["snapshot", "transition", "resync", "message"];

/**
 * Begins to watch. `show` is handed every new page, as a document; `beat` is called after each look that succeeded.
 * Gives back `look`, which looks at once.
 */
export function watch({ show, beat }) {
    const state = { etag: null, seen: now(), lost: null, stream: null, timer: 0, isLooking: false, again: false };

    async function look() {
        // What is on its way may have left before whatever happened.
        state.again = state.isLooking;
        if (state.isLooking) return;
        state.isLooking = true;
        clearTimeout(state.timer);
        const wasLost = state.lost !== null;
        const answer = await read(state);
        state.isLooking = false;
        if (!document.hidden) state.timer = setTimeout(look, state.lost === null ? POLL_MS : RETRY_MS);
        if (state.again) look();
        tell(state);
        if (!answer) return;
        if (wasLost) listen();
        if (answer.page) show(answer.page);
        beat();
    }

    function listen() {
        if (state.stream || document.hidden) return;
        const stream = new EventSource("/api/health/events");
        state.stream = stream;
        for (const kind of EVENTS) stream.addEventListener(kind, look);
        stream.addEventListener("open", () => { tell(state); look(); });
        stream.addEventListener("error", () => {
            tell(state);
            if (stream.readyState === EventSource.CLOSED) {
                // The browser tries again by itself after a cut, and never after a refusal.
                state.stream = null;
                setTimeout(listen, STREAM_AGAIN_MS);
            } else {
                look();
            }
        });
    }

    document.addEventListener("visibilitychange", () => {
        if (document.hidden) {
            // A browser has few connections to a host: a page that nobody sees holds none.
            state.stream?.close();
            state.stream = null;
            clearTimeout(state.timer);
        } else {
            listen();
            look();
        }
    });
    addEventListener("online", look);
    setInterval(() => tell(state), 1000);
    listen();
    look();
    return { look };
}

/** Reads the page; `page` is left out if it is the one that is shown. Nothing, if the host could not be reached. */
async function read(state) {
    try {
        const headers = state.etag ? { "If-None-Match": state.etag } : {};
        const answer = await fetch("/", { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
        if (answer.redirected || answer.status === 401) {
            location.assign("/login");
            return null;
        }
        if (answer.status !== 200 && answer.status !== 304) throw new Error(`status ${answer.status}`);
        const text = answer.status === 200 ? await answer.text() : null;
        setClock(answer.headers.get("date"));
        state.etag = answer.headers.get("etag");
        found(state);
        return { page: text && new DOMParser().parseFromString(text, "text/html") };
    } catch {
        state.lost ??= now();
        return null;
    }
}

function found(state) {
    if (state.lost) announce("the host answers again");
    state.lost = null;
    state.seen = now();
}

/** How the page stands to the host, at its top. */
function tell(state) {
    const line = document.querySelector("#line");
    const outage = document.querySelector("#outage");
    const isLost = state.lost !== null;
    const isLive = !isLost && state.stream?.readyState === EventSource.OPEN;
    document.documentElement.classList.toggle("lost", isLost);
    const way = isLost ? "lost" : isLive ? "live" : "polling";
    const words = { lost: "host unreachable", live: "live", polling: `checked every ${POLL_MS / 1000} s` };
    if (line.dataset.way !== way) {
        line.dataset.way = way;
        line.textContent = words[way];
    }
    if (outage.hidden === isLost) {
        outage.hidden = !isLost;
        const shown = document.createElement("span");
        shown.setAttribute("aria-hidden", "true");
        outage.replaceChildren("The host cannot be reached. The data shown is old", shown);
    }
    if (isLost) outage.lastChild.textContent = `: as it was ${age(state.seen)} ago`;
}
