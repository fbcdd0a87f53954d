// Lists of plugins become rows: calls, runs, conversations, messages under way. What a plugin leaves out is left out.

import { distance, make } from "./words.js";

const PATIENCE_MS = 10000;
// Each list is a call of its plugin: however often the page is looked at, they are read no more often than that.
const PAUSE_MS = 15000;

const rounds = { current: null, begun: -Infinity };

/** Reads the lists if the last round is over, and some time ago. */
export function keepFeeds() {
    if (!rounds.current && performance.now() - rounds.begun >= PAUSE_MS) readFeeds();
}

/** Something was done: they are read at the next look. */
export function feedsAreOld() {
    rounds.begun = -Infinity;
}

/** Reads every list that the page names, and shows it. A list that cannot be read says why. One round at a time. */
export function readFeeds() {
    if (!rounds.current) {
        rounds.begun = performance.now();
        const places = [...document.querySelectorAll("[data-feed]")];
        rounds.current = Promise.all(places.map(readFeed)).finally(() => { rounds.current = null; });
    }
    return rounds.current;
}

async function readFeed(place) {
    const shown = FEEDS[place.dataset.feed];
    try {
        const answer = await fetch(place.dataset.from, { signal: AbortSignal.timeout(PATIENCE_MS) });
        const body = await answer.json();
        if (!answer.ok) throw new Error(body.detail ?? `status ${answer.status}`);
        fill(place, shown.rows(body).map(shown.row), shown.none);
    } catch (error) {
        fill(place, [], `cannot be read: ${error.message}`);
    }
}

/** Only what changed is drawn anew: a reader may be in it. */
function fill(place, rows, none) {
    const wanted = rows.length ? make("ul", {}, ...rows) : make("p", { class: "hint" }, none);
    if (!place.firstElementChild?.isEqualNode(wanted)) place.replaceChildren(wanted);
}

const FEEDS = {
    calls: {
        none: "No call yet.",
        rows: (body) => body.calls ?? [],
        row: (call) => row(
            call.state ?? (call.live ? "in progress" : "over"),
            link(`/api/calls/${encodeURIComponent(call.call)}`, call.person ?? call.number ?? call.from ?? call.call),
            [
                call.direction ?? (call.outbound ? "outbound" : "inbound"),
                call.objective ?? call.outcome,
                seconds(call.duration_seconds ?? (call.ended_ms - call.started_ms) / 1000),
                since(call.started_ms),
            ],
        ),
    },
    runs: {
        none: "No run yet.",
        rows: (body) => body.runs ?? [],
        row: (run) => row(
            run.state,
            link(`/api/runs/${encodeURIComponent(run.run)}`, run.goal ?? run.run),
            [
                run.person,
                run.held_by && `waits for ${run.held_by.join(", ")}`,
                steps(run.usage),
                since(run.changed_ms ?? run.started_ms),
            ],
        ),
    },
    threads: {
        none: "No conversation yet.",
        rows: (body) => body.threads ?? [],
        row: (thread) => row(
            thread.failed > 0 ? "failed" : thread.open > 0 ? "open" : "done",
            link(`/api/messages/threads/${encodeURIComponent(thread.person)}`, thread.person),
            [thread.last_channel, counted(thread.open, "on the way"), counted(thread.failed, "failed"), since(thread.last_ms)],
        ),
    },
    unprocessed: {
        none: "Nothing is under way.",
        rows: (body) => body.messages ?? [],
        row: (message) => row(
            message.state,
            `${message.inbound ? "from" : "to"} ${message.person ?? "?"}`,
            [message.channel, message.error, since(message.since_ms)],
        ),
    },
};

/** The state in words, what it is about, and what else is known. */
function row(state, what, facts) {
    const told = facts.filter(Boolean).join(" · ");
    return make("li", {},
        make("span", { class: "tag", "data-state": state }, (state ?? "unknown").replaceAll("_", " ")),
        make("span", { class: "what" }, what ?? "?"),
        make("span", { class: "hint" }, told),
    );
}

function link(href, text) {
    return make("a", { href }, text);
}

function seconds(duration) {
    return Number.isFinite(duration) ? `${Math.round(duration)} s` : null;
}

function since(millis) {
    return Number.isFinite(millis) ? distance(millis) : null;
}

function steps(usage) {
    return usage ? `${usage.steps} step${usage.steps === 1 ? "" : "s"}` : null;
}

function counted(number, words) {
    return number > 0 ? `${number} ${words}` : null;
}
