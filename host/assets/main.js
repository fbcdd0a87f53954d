// The dashboard as the host wrote it becomes a live one. Everything it tells stands in the page without this script;
// nothing here asks any other host.

import { watch } from "./live.js";
import { morph } from "./morph.js";
import { announce, tellTimes } from "./words.js";
import { drawGraph } from "./graph.js";
import { wireActions, showActions } from "./actions.js";
import { wireFilter, applyFilter } from "./filter.js";
import { feedsAreOld, keepFeeds } from "./feeds.js";

/** Whatever the page says now, brought up to what scripts make of it. */
function enrich() {
    tellTimes();
    showActions();
    applyFilter();
    drawGraph();
}

/** What the plugins are, to hear what changed. */
function looks() {
    const plugins = document.querySelectorAll("#plugins .plugin");
    return new Map([...plugins].map((plugin) => [plugin.dataset.key, plugin.dataset.look]));
}

/** Says what changed, once, for those who do not see it. */
function sayWhatChanged(before) {
    const changed = [...looks()].filter(([name, look]) => before.has(name) && before.get(name) !== look);
    const told = changed.slice(0, 3).map(([name, look]) => `${name} is ${look.replaceAll("_", " ")}`);
    if (changed.length > told.length) told.push(`${changed.length - told.length} others changed`);
    if (told.length) announce(told.join(", "));
}

/** Puts a page that was just read in the place of the one that is shown. */
function show(page) {
    if (page.documentElement.dataset.build !== document.documentElement.dataset.build) {
        // Another build of the host: these scripts are not its own.
        location.reload();
        return;
    }
    const before = looks();
    morph(document.body, page.body);
    document.title = page.title;
    enrich();
    sayWhatChanged(before);
}

document.documentElement.classList.add("scripted");
wireActions(() => {
    feedsAreOld();
    line.look();
});
wireFilter();
enrich();
const line = watch({ show, beat: keepFeeds });
setInterval(tellTimes, 1000);
