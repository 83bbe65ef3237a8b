/** Reads the flowcharts of the pages: the part of Mermaid's language that they use (https://mermaid.js.org/syntax/flowchart.html). */
import { SiteError } from '../failure.js';

export type Shape = 'box' | 'stadium' | 'cylinder';

export interface ChartNode {
  readonly id: string;
  readonly text: string;
  readonly shape: Shape;
  /** The id of the group around it. */
  readonly group?: string;
}

export interface ChartEdge {
  readonly from: string;
  readonly to: string;
  readonly text: string;
  readonly both: boolean;
}

export interface Flowchart {
  readonly direction: 'LR' | 'TB';
  readonly nodes: readonly ChartNode[];
  readonly edges: readonly ChartEdge[];
  readonly groups: readonly { readonly id: string; readonly text: string }[];
}

const START = /^flowchart (LR|TB)$/;
const GROUP = /^subgraph (\w+)\s*(?:\[(.+)\])?$/;
const NODE = /\s*(?<id>\w+)\s*(?:\(\[(?<stadium>.+?)\]\)|\[\((?<cylinder>.+?)\)\]|\[(?<box>.+?)\])?/y;
const ARROW = /\s*(?<both><)?--(?:>|\s+(?:"(?<quoted>[^"]+)"|(?<text>[^">]+?))\s+-->)/y;

/** @throws SiteError for what is not understood: a diagram is drawn whole or not at all */
export function readFlowchart(source: string): Flowchart {
  const [first = '', ...lines] = source.split('\n').map((line) => line.trim());
  const direction = START.exec(first)?.[1];
  if (direction === undefined) throw misread(first);
  const nodes = new Map<string, ChartNode>();
  const edges: ChartEdge[] = [];
  const groups: { id: string; text: string }[] = [];
  let group: string | undefined;
  for (const line of lines.filter((each) => each !== '')) {
    const [opens, id, text] = GROUP.exec(line) ?? [];
    if (opens !== undefined && id !== undefined) {
      group = id;
      groups.push({ id, text: text ?? id });
    } else if (line === 'end') group = undefined;
    else readChain(line, group, nodes, edges);
  }
  return { direction: direction as 'LR' | 'TB', nodes: [...nodes.values()], edges, groups };
}

/** `a --> b -- says --> c` */
function readChain(line: string, group: string | undefined, nodes: Map<string, ChartNode>, edges: ChartEdge[]): void {
  let at = 0;
  const next = (pattern: RegExp): Record<string, string | undefined> => {
    pattern.lastIndex = at;
    const found = pattern.exec(line)?.groups;
    if (found === undefined) throw misread(line);
    at = pattern.lastIndex;
    return found;
  };
  let from = keep(next(NODE), group, nodes);
  while (at < line.length) {
    const { both, quoted, text } = next(ARROW);
    const to = keep(next(NODE), group, nodes);
    edges.push({ from, to, text: quoted ?? text ?? '', both: both !== undefined });
    from = to;
  }
}

/** A node has its text where it is named first. */
function keep(
  { id = '', stadium, cylinder, box }: Record<string, string | undefined>,
  group: string | undefined,
  nodes: Map<string, ChartNode>,
): string {
  if (!nodes.has(id)) {
    const shape = stadium === undefined ? (cylinder === undefined ? 'box' : 'cylinder') : 'stadium';
    nodes.set(id, {
      id,
      text: stadium ?? cylinder ?? box ?? id,
      shape,
      ...(group === undefined ? {} : { group }),
    });
  }
  return id;
}

function misread(line: string): SiteError {
  return new SiteError(
    [`A diagram has a line that is not understood: ${line}`],
    'Write it as the other flowcharts are, or teach site/diagram/flowchart.ts what it says.',
  );
}
