// A host of many plugins can be searched: by name, and for what does not work.

import { make } from "./words.js";

/** With fewer plugins than this, one sees them all. */
const MANY = 13;

let wanted = { text: "", troubled: false };

/** Puts the two fields above the plugins. */
export function wireFilter() {
    const text = make("input", { type: "search", id: "search", placeholder: "name", autocomplete: "off" });
    const troubled = make("input", { type: "checkbox", id: "troubled" });
    const change = () => {
        wanted = { text: text.value.trim().toLowerCase(), troubled: troubled.checked };
        applyFilter();
    };
    text.addEventListener("input", change);
    troubled.addEventListener("change", change);
    document.querySelector("#filter").replaceChildren(
        make("label", { for: "search" }, "Find "),
        text,
        make("label", {}, troubled, " only what does not work"),
        make("output", { for: "search troubled" }),
    );
}

/** Hides what is not wanted. */
export function applyFilter() {
    const filter = document.querySelector("#filter");
    const plugins = document.querySelectorAll("#plugins .plugin");
    filter.hidden = plugins.length < MANY;
    let shown = 0;
    for (const plugin of plugins) {
        const isWanted = plugin.dataset.key.includes(wanted.text) && !(wanted.troubled && "healthy" in plugin.dataset);
        plugin.classList.toggle("unwanted", !isWanted);
        shown += isWanted;
    }
    for (const group of document.querySelectorAll("#plugins .group")) {
        group.classList.toggle("unwanted", !group.querySelector(".plugin:not(.unwanted)"));
    }
    const found = `${shown} of ${plugins.length}`;
    const output = filter.querySelector("output");
    if (output && output.textContent !== found) output.textContent = found;
}
