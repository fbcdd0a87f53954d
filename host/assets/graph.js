// The dependencies, as the list of plugins tells them, become a drawing. A cause has a double border and says what it
// takes down; what it takes down has a dashed one and says what it waits for. One stop of the tab key; arrows move on.

import { NODE_HEIGHT, place, standsAbove } from "./layout.js";
import { make } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
/** How much a wide graph may shrink before it scrolls instead. */
const SMALLEST = 0.72;

/** With more plugins than this, one sees no trouble for all that works. */
const LARGE = 60;

let drawn = { signature: "", placed: null, structure: "" };
let current = null;
let shown = "";

/** Draws it anew, if anything in it changed. */
export function drawGraph() {
    const section = document.querySelector("#graph");
    const canvas = document.querySelector("#canvas");
    const all = read();
    section.hidden = all.plugins.length < 2;
    if (section.hidden) return;
    const { plugins, edges } = chosen(all);
    const width = canvas.clientWidth;
    tellDirection(width);
    const signature = JSON.stringify([plugins, edges, width]);
    if (signature === drawn.signature) return;
    const structure = JSON.stringify([plugins.map(({ name }) => name), edges.map(({ from, to }) => [from, to]), width]);
    const placed = structure === drawn.structure ? drawn.placed : place(plugins, edges, width);
    drawn = { signature, structure, placed };
    const focused = canvas.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const [left, top] = [canvas.scrollLeft, canvas.scrollTop];
    canvas.replaceChildren(drawing(plugins, edges, placed, width), legend());
    const isNew = structure !== shown;
    shown = structure;
    canvas.scrollTo(left, top);
    if (isNew) showFirstCause(canvas);
    if (focused) node(focused)?.focus({ preventScroll: true });
}

addEventListener("resize", () => drawGraph());

/** Where not all of it has room, the cause is what one came for. */
function showFirstCause(canvas) {
    const cause = canvas.querySelector(".node.root");
    if (!cause) return;
    const [inside, outside] = [cause.getBoundingClientRect(), canvas.getBoundingClientRect()];
    canvas.scrollBy({
        left: inside.left - outside.left - (outside.width - inside.width) / 2,
        top: inside.top - outside.top - (outside.height - inside.height) / 2,
        behavior: "instant",
    });
}

/** Of many plugins, those in trouble and what is around them; all, if one wants. */
function chosen({ plugins, edges }) {
    const troubled = plugins.filter(({ isCause, roots }) => isCause || roots.length > 0);
    const field = document.querySelector("#all-plugins");
    const isLarge = plugins.length > LARGE && troubled.length > 0;
    field.parentElement.hidden = !isLarge;
    field.onchange ??= () => drawGraph();
    if (!isLarge || field.checked) return { plugins, edges };
    const near = new Set(troubled.flatMap(({ name }) => [...reach(name, edges, "from", "to")]));
    return {
        plugins: plugins.filter(({ name }) => near.has(name)),
        edges: edges.filter(({ from, to }) => near.has(from) && near.has(to)),
    };
}

function tellDirection(width) {
    const sides = standsAbove(width) ? ["above", "below"] : ["left", "right"];
    const text = `Dependencies are ${sides[0]}, dependents ${sides[1]}.`;
    const hint = document.querySelector("#graph-hint");
    if (hint.textContent !== text) hint.textContent = text;
}

function read() {
    const rows = [...document.querySelectorAll("#plugins .plugin")];
    const names = new Set(rows.map((row) => row.dataset.key));
    const plugins = rows.map(({ dataset }) => ({
        name: dataset.key,
        look: dataset.look,
        status: dataset.status.replaceAll("_", " "),
        isCause: "cause" in dataset,
        isCalm: "calm" in dataset,
        roots: dataset.roots ? dataset.roots.split(", ").filter((root) => root !== dataset.key) : [],
    }));
    const edges = rows.flatMap((row) => [...row.querySelectorAll(".dependencies > li")].map(({ dataset }) => ({
        from: row.dataset.key,
        to: dataset.to,
        isRequired: "required" in dataset,
        isSatisfied: "satisfied" in dataset,
    })));
    const calm = new Set(plugins.filter((plugin) => plugin.isCalm).map(({ name }) => name));
    const isCalm = ({ name, roots, isCalm }) => isCalm || (roots.length > 0 && roots.every((root) => calm.has(root)));
    const idle = new Set(plugins.filter(isCalm).map(({ name }) => name));
    for (const edge of edges) edge.isIdle = idle.has(edge.to);
    for (const plugin of plugins) {
        plugin.isIdle = idle.has(plugin.name);
        plugin.takesDown = plugins.filter((other) => other.roots.includes(plugin.name)).length;
        plugin.note = note(plugin);
    }
    const known = edges.filter((edge) => names.has(edge.to));
    for (const plugin of plugins) {
        // Wide enough for whatever it may come to wait for.
        const behind = [...reach(plugin.name, known, "from", "to")].map((name) => name.length);
        plugin.longestNote = "waits for ".length + Math.max(...behind);
    }
    return { plugins, edges: known };
}

/** The line below the name. */
function note({ status, isCause, isCalm, roots, takesDown }) {
    if (isCause && takesDown) return isCalm ? `holds ${takesDown}` : `takes down ${takesDown}`;
    if (roots.length > 1) return `waits for ${roots.length} causes`;
    return roots.length ? `waits for ${roots[0]}` : status;
}

function drawing(plugins, edges, placed, available) {
    const scale = Math.min(1, Math.max(SMALLEST, available / placed.width));
    const svg = shape("svg", {
        viewBox: `0 0 ${placed.width} ${placed.height}`,
        width: Math.round(placed.width * scale),
        height: Math.round(placed.height * scale),
        role: "group",
        "aria-label": `Dependencies of ${plugins.length} plugins; arrow keys move between them`,
    });
    const lines = edges.map((edge, index) => line(edge, placed.lines[index], standsAbove(available)));
    const nodes = plugins.map((plugin) => box(plugin, placed.nodes.get(plugin.name)));
    svg.append(...lines, ...nodes);
    current = plugins.some(({ name }) => name === current) ? current : plugins[0].name;
    nodes.find((box) => box.dataset.name === current).setAttribute("tabindex", "0");
    svg.addEventListener("pointerover", (event) => point(svg, edges, event.target.closest(".node")?.dataset.name));
    svg.addEventListener("pointerleave", () => point(svg, edges, null));
    svg.addEventListener("focusin", (event) => {
        const { name } = event.target.dataset;
        stop(svg, name);
        point(svg, edges, name);
    });
    svg.addEventListener("focusout", () => point(svg, edges, null));
    svg.addEventListener("keydown", (event) => move(event, placed));
    return svg;
}

function box(plugin, { x, y, width }) {
    const { name, look, isCause, isIdle, roots, takesDown } = plugin;
    const role = isCause && takesDown ? "root" : roots.length ? "victim" : "";
    const link = shape("a", {
        href: `#plugin-${name}`,
        class: `node is-${look} ${role} ${isIdle ? "idle" : ""}`,
        "data-name": name,
        tabindex: "-1",
        // Begins with what is to be seen.
        "aria-label": `${name} ${plugin.note}${plugin.note === plugin.status ? "" : `, ${plugin.status}`}`,
        transform: `translate(${x - width / 2} ${y - NODE_HEIGHT / 2})`,
    });
    if (role === "root") {
        link.append(shape("rect", { class: "halo", x: -4, y: -4, width: width + 8, height: NODE_HEIGHT + 8, rx: 10 }));
    }
    const head = shape("text", { x: 34, y: 20, class: "title" });
    head.append(name);
    const below = shape("text", { x: 34, y: 35, class: "below" });
    below.append(plugin.note);
    link.append(
        shape("rect", { class: "box", width, height: NODE_HEIGHT, rx: 7 }),
        shape("use", { href: `#glyph-${look}`, class: "glyph", x: 11, y: 9, width: 15, height: 15 }),
        head,
        // Or it would be one word to those who hear it.
        " ",
        below,
    );
    return link;
}

function line({ from, to, isRequired, isSatisfied, isIdle }, points, isTall) {
    const kind = isRequired ? (isSatisfied ? "" : "broken") : "wanted";
    const group = shape("g", { class: `edge ${kind} ${isIdle ? "idle" : ""}`, "data-from": from, "data-to": to, "aria-hidden": "true" });
    group.append(shape("path", { d: curve(points, isTall) }));
    if (kind === "broken") {
        const { x, y } = halfway(points);
        group.append(shape("path", { class: "cross", d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8` }));
    }
    return group;
}

/** Through the points, leaving and reaching each in the direction of the layers. */
function curve(points, isTall) {
    const [start, ...rest] = points;
    let from = start;
    const bends = rest.map((to) => {
        const bend = isTall
            ? `C${from.x} ${(from.y + to.y) / 2} ${to.x} ${(from.y + to.y) / 2} ${to.x} ${to.y}`
            : `C${(from.x + to.x) / 2} ${from.y} ${(from.x + to.x) / 2} ${to.y} ${to.x} ${to.y}`;
        from = to;
        return bend;
    });
    return `M${start.x} ${start.y}${bends.join("")}`;
}

/** Halfway, where a cross is seen best. */
function halfway(points) {
    const [one, other] = [points[Math.floor((points.length - 1) / 2)], points[Math.ceil((points.length - 1) / 2)]];
    return one === other ? one : { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
}

/** What a plugin leans on and what leans on it stands out. */
function point(svg, edges, name) {
    svg.classList.toggle("pointing", Boolean(name));
    if (!name) return;
    const near = new Set([...reach(name, edges, "from", "to"), ...reach(name, edges, "to", "from")]);
    for (const node of svg.querySelectorAll(".node")) node.classList.toggle("near", near.has(node.dataset.name));
    for (const edge of svg.querySelectorAll(".edge")) {
        edge.classList.toggle("near", near.has(edge.dataset.from) && near.has(edge.dataset.to));
    }
}

function reach(name, edges, here, there) {
    const seen = new Set([name]);
    for (const at of seen) {
        for (const edge of edges) if (edge[here] === at) seen.add(edge[there]);
    }
    return seen;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** To the nearest box in the direction of the arrow. */
function move(event, placed) {
    const arrow = ARROWS[event.key];
    const { name } = event.target.dataset;
    if (!arrow || !name) return;
    event.preventDefault();
    const from = placed.nodes.get(name);
    let [best, shortest] = [null, Infinity];
    for (const [other, to] of placed.nodes) {
        const [dx, dy] = [to.x - from.x, to.y - from.y];
        const along = dx * arrow[0] + dy * arrow[1];
        const aside = Math.abs(dx * arrow[1]) + Math.abs(dy * arrow[0]);
        const isThere = along > 1 && 2 * along >= aside;
        if (isThere && along + 2 * aside < shortest) [best, shortest] = [other, along + 2 * aside];
    }
    if (best) node(best).focus();
}

/** Where the tab key stops. */
function stop(svg, name) {
    current = name;
    for (const node of svg.querySelectorAll(".node")) {
        node.setAttribute("tabindex", node.dataset.name === name ? "0" : "-1");
    }
}

function node(name) {
    return document.querySelector(`#canvas .node[data-name="${CSS.escape(name)}"]`);
}

function legend() {
    const sample = (kind, words) => {
        const svg = shape("svg", { width: 34, height: 12, viewBox: "0 0 34 12", "aria-hidden": "true" });
        svg.append(line({ isRequired: kind !== "wanted", isSatisfied: kind !== "broken" },
            [{ x: 0, y: 6 }, { x: 17, y: 6 }, { x: 34, y: 6 }]));
        return make("li", {}, svg, words);
    };
    return make("ul", { class: "legend" },
        sample("", "required"),
        sample("broken", "required, and does not work"),
        sample("wanted", "wanted"),
        make("li", {}, make("span", { class: "key root" }), "a cause"),
        make("li", {}, make("span", { class: "key victim" }), "blocked by a cause"),
    );
}

function shape(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
}
