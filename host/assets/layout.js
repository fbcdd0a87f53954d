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

function layered(plugins, edges, width) {
    const graph = new Graph({ multigraph: false });
    // Where it is narrow, dependencies stand above; else left.
    graph.setGraph({
        rankdir: width < 700 ? "TB" : "LR",
        nodesep: GAP,
        ranksep: width < 700 ? 44 : 56,
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
    const lines = edges.map(({ from, to }) => graph.edge(to, from).points);
    const size = graph.graph();
    return { width: size.width, height: size.height, nodes, lines };
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
