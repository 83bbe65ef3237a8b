/** Draws a flowchart as SVG: laid out by dagre, coloured by the style sheet of the page, read out as a list of its arrows. */
import { Graph, layout, type EdgeLabel, type GraphLabel, type NodeLabel, type Point } from '@dagrejs/dagre';
import { escaped } from '../render/highlight.js';
import type { ChartEdge, ChartNode, Flowchart } from './flowchart.js';

type Laid = Graph<GraphLabel, NodeLabel, EdgeLabel>;

/** Pixels, at the size of text that the style sheet gives. */
const [CHARACTER, LINE] = [7.2, 17];
const PADDING = { x: 14, y: 10 };
/** Characters in a line. */
const WIDEST = { node: 22, edge: 20 };

export function drawn(chart: Flowchart): string {
  const graph = laidOut(chart);
  const { width = 0, height = 0 } = graph.graph();
  const parts = [
    ...chart.groups.map((group) => drawnGroup(group.text, graph.node(group.id))),
    ...chart.edges.map((edge, n) => drawnEdge(edge, graph.edge(edge.from, edge.to, String(n)))),
    ...chart.nodes.map((node) => drawnNode(node, graph.node(node.id))),
  ];
  const size = `viewBox="0 0 ${round(width)} ${round(height)}" width="${round(width)}" height="${round(height)}"`;
  return `<svg class="diagram" role="img" aria-label="${escaped(inWords(chart))}" ${size}>${parts.join('')}</svg>`;
}

function laidOut({ direction, nodes, edges, groups }: Flowchart): Laid {
  const graph: Laid = new Graph({ compound: true, multigraph: true });
  graph.setGraph({ rankdir: direction, nodesep: 26, ranksep: 44, edgesep: 14, marginx: 8, marginy: 8 });
  for (const { id } of groups) graph.setNode(id, { width: 0, height: 0 });
  for (const { id, text, group } of nodes) {
    const lines = wrapped(text, WIDEST.node);
    graph.setNode(id, { width: widthOf(lines) + 2 * PADDING.x, height: lines.length * LINE + 2 * PADDING.y });
    if (group !== undefined) graph.setParent(id, group);
  }
  for (const [n, { from, to, text }] of edges.entries()) {
    const lines = text === '' ? [] : wrapped(text, WIDEST.edge);
    const size = { width: widthOf(lines), height: lines.length * LINE, labelpos: 'c' } as const;
    graph.setEdge(from, to, size, String(n));
  }
  layout(graph);
  return graph;
}

/** For whoever does not see it. */
function inWords({ nodes, edges }: Flowchart): string {
  const name = (id: string): string => nodes.find((node) => node.id === id)?.text ?? id;
  const arrows = edges.map(({ from, to, text, both }) => {
    return `${name(from)} ${both ? 'to and from' : 'to'} ${name(to)}${text === '' ? '' : ` (${text})`}`;
  });
  return `Diagram: ${arrows.join('; ')}.`;
}

function drawnNode({ text, shape }: ChartNode, at: NodeLabel): string {
  const { left, top, width, height } = boxOf(at);
  const radius = shape === 'stadium' ? round(height / 2) : 6;
  const box = `<rect class="node" x="${left}" y="${top}" width="${width}" height="${height}" rx="${radius}"/>`;
  return `${shape === 'cylinder' ? cylinder(at) : box}${label(wrapped(text, WIDEST.node), { x: at.x ?? 0, y: at.y ?? 0 })}`;
}

function cylinder(at: NodeLabel): string {
  const { left, top, width, height } = boxOf(at);
  const [right, bottom, half, lid] = [left + width, top + height, round(width / 2), 6];
  const sides = `M${left} ${top + lid} V${bottom - lid} A${half} ${lid} 0 0 0 ${right} ${bottom - lid} V${top + lid}`;
  const cover = `A${half} ${lid} 0 0 0 ${left} ${top + lid} A${half} ${lid} 0 0 0 ${right} ${top + lid}`;
  return `<path class="node" d="${sides} ${cover}"/>`;
}

function drawnGroup(text: string, at: NodeLabel): string {
  const { left, top, width, height } = boxOf(at);
  const box = `<rect class="group" x="${left}" y="${top}" width="${width}" height="${height}" rx="8"/>`;
  return `${box}<text class="group-title" x="${left + 8}" y="${top + 15}">${escaped(text)}</text>`;
}

function drawnEdge({ text, both }: ChartEdge, { points = [], x = 0, y = 0 }: EdgeLabel): string {
  const line = `<path class="edge" d="${smooth(points)}"/>${head(points)}${both ? head(points.toReversed()) : ''}`;
  return text === '' ? line : line + label(wrapped(text, WIDEST.edge), { x, y }, 'edge-label');
}

/** Through the middles between the points, so that no corner shows. */
function smooth(points: readonly Point[]): string {
  const [first, ...others] = points;
  if (first === undefined) return '';
  const last = others.at(-1) ?? first;
  const curves = others.slice(0, -1).map((point, n) => {
    const after = others[n + 1] ?? last;
    const end = n === others.length - 2 ? last : { x: (point.x + after.x) / 2, y: (point.y + after.y) / 2 };
    return `Q${round(point.x)} ${round(point.y)} ${round(end.x)} ${round(end.y)}`;
  });
  return `M${round(first.x)} ${round(first.y)} ${curves.length > 0 ? curves.join(' ') : `L${round(last.x)} ${round(last.y)}`}`;
}

/** The arrow's head at the last point. */
function head(points: readonly Point[]): string {
  const [before, tip] = [points.at(-2), points.at(-1)];
  if (before === undefined || tip === undefined) return '';
  const turn = Math.atan2(tip.y - before.y, tip.x - before.x);
  const corner = (by: number): string =>
    `${round(tip.x - 9 * Math.cos(turn + by))},${round(tip.y - 9 * Math.sin(turn + by))}`;
  return `<polygon class="head" points="${round(tip.x)},${round(tip.y)} ${corner(0.42)} ${corner(-0.42)}"/>`;
}

function label(lines: readonly string[], { x, y }: Point, name = 'node-label'): string {
  const first = y - ((lines.length - 1) * LINE) / 2 + 4.5;
  const spans = lines.map(
    (text, n) => `<tspan x="${round(x)}" y="${round(first + n * LINE)}">${escaped(text)}</tspan>`,
  );
  return `<text class="${name}">${spans.join('')}</text>`;
}

function boxOf({ x = 0, y = 0, width, height }: NodeLabel) {
  return { left: round(x - width / 2), top: round(y - height / 2), width: round(width), height: round(height) };
}

function wrapped(text: string, widest: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > widest) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function widthOf(lines: readonly string[]): number {
  return Math.ceil(Math.max(0, ...lines.map((line) => line.length)) * CHARACTER);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
