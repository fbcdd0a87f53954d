// Buttons become requests to the host: verify a plugin now, acknowledge what fails, read plugins.toml again. What came of
// it stands beside the button, and is said.

import { announce, make } from "./words.js";

/** Whoever presses a button: `look` brings the page up to date afterwards. */
export function wireActions(look) {
    document.addEventListener("click", (event) => {
        const verify = event.target.closest("button[data-verify]");
        if (verify) act(verify, () => post(verify.dataset.verify), verified, look);
        const acknowledge = event.target.closest("button[data-acknowledge]");
        if (acknowledge) act(acknowledge, () => acknowledged(acknowledge.dataset.acknowledge), (text) => ({ text }), look);
        const reload = event.target.closest("#reload");
        if (reload) act(reload, () => post("/api/operations/host/reload"), reloaded, look);
    });
}

/** Buttons that need a script are there when there is one. */
export function showActions() {
    for (const button of document.querySelectorAll("button[hidden]")) button.hidden = false;
}

/** One request at a time a button: it is not disabled, as that would take the focus from it. */
async function act(button, send, words, look) {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    try {
        const { text, lines } = words(await send());
        told(button, text, lines, false);
    } catch (error) {
        told(button, error.message, error.lines, true);
    } finally {
        button.ariaBusy = null;
        look();
    }
}

async function post(path, request = {}) {
    const headers = { "Content-Type": "application/json" };
    let answer;
    try {
        answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(request) });
    } catch {
        throw new Error("the host cannot be reached");
    }
    const body = await answer.json().catch(() => ({}));
    if (answer.ok) return body;
    const error = new Error([body.detail ?? `status ${answer.status}`, body.hint].filter(Boolean).join("; "));
    error.lines = body.details?.problems;
    throw error;
}

async function acknowledged(plugin) {
    await post("/api/operations/host/acknowledge", { plugin });
    return `the failures of ${plugin} are acknowledged; they show again if they happen again`;
}

function verified(plugin) {
    const status = plugin.status.replaceAll("_", " ");
    return { text: `${plugin.name} was verified: ${status}` };
}

function reloaded(report) {
    const parts = Object.entries({
        "started ": report.added,
        "stopped ": report.removed,
        "restarted ": [...(report.changed ?? []), ...(report.dependents ?? [])],
        "needs a restart of the host: ": report.needs_restart,
    });
    const told = parts.filter(([, names]) => names?.length).map(([words, names]) => words + names.join(", "));
    return { text: `plugins.toml was read again: ${told.join("; ") || "nothing changed"}` };
}

/** A note at the bottom of the window, until it is closed or the next one comes. */
function told(button, text, lines, isFailure) {
    document.querySelector("#told")?.remove();
    const close = make("button", { type: "button", "aria-label": "Close the note" }, "Close");
    const note = make("div", { id: "told", "data-own": "", class: isFailure ? "failed" : "" }, make("p", {}, text));
    if (lines?.length) note.append(make("pre", {}, lines.join("\n")));
    note.append(close);
    close.addEventListener("click", () => {
        note.remove();
        button.focus();
    });
    document.body.append(note);
    announce(text);
}
