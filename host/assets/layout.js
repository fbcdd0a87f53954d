// Plugins and what they depend on become places on a plane, layer by layer, by the layout library.

import { Graph, layout } from "./dagre.js";

export const NODE_HEIGHT = 46;
const MARGIN = 16;
const GAP = 14;
/** Room for the shape and the edges beside a name. */
const BESIDE_TEXT = 48;
const LETTER = 8.2;
const SMALL_LETTER = 6.2;
const NARROWEST = 128;

/**
 * `plugins`: `{ name, longestNote }`; `edges`: `{ from, to }`, from the dependent to the dependency. `width`: what there is.
 * Gives `{ width, height, nodes: Map(name -> { x, y, width }), lines: [[point]] }`, a line an edge, and nodes by their
 * centre. What depends on nothing and is needed by nothing stands below, in rows.
 */
export function place(plugins, edges, width) {
    const joined = new Set(edges.flatMap((edge) => [edge.from, edge.to]));
    const layers = layered(plugins.filter(({ name }) => joined.has(name)), edges, width);
    const alone = plugins.filter(({ name }) => !joined.has(name));
    return inRows(alone, layers, Math.max(width, layers.width));
}

/** Where it is narrow, dependencies stand above; else left. */
export function standsAbove(width) {
    return width < 700;
}

/** From the side of one box to the facing side of the other, by the way that the library found past those in between. */
function between(first, points, last, isTall) {
    const side = ({ x, y, width }, sign) =>
        (isTall ? { x, y: y + (sign * NODE_HEIGHT) / 2 } : { x: x + (sign * width) / 2, y });
    // A single point in between passes nobody: it stands where a label would.
    const middle = points.length > 3 ? points.slice(1, -1) : [];
    return [side(first, 1), ...middle, side(last, -1)];
}

function layered(plugins, edges, width) {
    const graph = new Graph({ multigraph: false });
    const isTall = standsAbove(width);
    graph.setGraph({
        rankdir: isTall ? "TB" : "LR",
        nodesep: GAP,
        ranksep: isTall ? 44 : 56,
        edgesep: 10,
        marginx: MARGIN,
        marginy: MARGIN,
    });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const plugin of plugins) graph.setNode(plugin.name, { width: nodeWidth(plugin), height: NODE_HEIGHT });
    for (const { from, to } of edges) graph.setEdge(to, from);
    if (plugins.length === 0) return { width: 0, height: MARGIN, nodes: new Map(), lines: [] };
    layout(graph);
    const nodes = new Map(plugins.map(({ name }) => [name, graph.node(name)]));
    const lines = edges.map(({ from, to }) => between(nodes.get(to), graph.edge(to, from).points, nodes.get(from), isTall));
    const { width: across, height } = graph.graph();
    return withRoom({ width: across, height, nodes, lines });
}

/** The library makes room for boxes alone: where lines pass beyond them, all of it moves, and there is more of it. */
function withRoom({ width, height, nodes, lines }) {
    const reach = { left: MARGIN, top: MARGIN, right: width - MARGIN, bottom: height - MARGIN };
    for (const { x, y } of lines.flat()) {
        [reach.left, reach.right] = [Math.min(reach.left, x), Math.max(reach.right, x)];
        [reach.top, reach.bottom] = [Math.min(reach.top, y), Math.max(reach.bottom, y)];
    }
    const moved = ({ x, y, ...rest }) => ({ x: x - reach.left + MARGIN, y: y - reach.top + MARGIN, ...rest });
    return {
        width: reach.right - reach.left + 2 * MARGIN,
        height: reach.bottom - reach.top + 2 * MARGIN,
        nodes: new Map([...nodes].map(([name, node]) => [name, moved(node)])),
        lines: lines.map((points) => points.map(moved)),
    };
}

function inRows(plugins, layers, width) {
    const { nodes, lines } = layers;
    let [x, y, right] = [MARGIN, layers.height, layers.width];
    for (const plugin of plugins) {
        const own = nodeWidth(plugin);
        if (x > MARGIN && x + own + MARGIN > width) [x, y] = [MARGIN, y + NODE_HEIGHT + GAP];
        nodes.set(plugin.name, { x: x + own / 2, y: y + NODE_HEIGHT / 2, width: own });
        x += own + GAP;
        right = Math.max(right, x - GAP + MARGIN);
    }
    const height = plugins.length ? y + NODE_HEIGHT + MARGIN : layers.height;
    return { width: right, height, nodes, lines };
}

/** Wide enough for the name, and for the longest line that may come to stand below it: the place stays. */
function nodeWidth({ name, longestNote }) {
    return Math.max(NARROWEST, Math.round(Math.max(name.length * LETTER, longestNote * SMALL_LETTER)) + BESIDE_TEXT);
}
