/** Plays scenes one after the other and judges each: what was seen must be what was expected, in every point. */
import { isDeepStrictEqual } from 'node:util';
import { asCountersignError } from '../../src/action/errors.js';
import type { Json } from '../../src/action/json.js';

/** Points by name, such as `{status: 'denied', users: 1204}`. */
export type Findings = Readonly<Record<string, Json>>;

/** What a scene found out, to be judged. */
export interface Played {
  readonly expected: Findings;
  readonly seen: Findings;
}

/** `S` is the stage that scenes are played on. */
export interface Scene<S> {
  readonly title: string;
  /** The action it is about. */
  readonly actionId: string;
  /** What the viewer should know first, in a sentence or two. */
  readonly story: string;
  play(stage: S, actionId: string): Promise<Played>;
}

export interface Result {
  /** `a`, `b`, `c` … */
  readonly letter: string;
  readonly title: string;
  readonly actionId: string;
  /** Absent when the scene threw an error. */
  readonly played?: Played;
  /** One sentence for each point that is not as expected; empty when all are. */
  readonly differences: readonly string[];
}

/** Thrown to end the play at once: by a scene, or by the audience. */
export class StopDemo extends Error {
  override readonly name = 'StopDemo';
}

export interface Heading {
  /** `a`, `b`, `c` … */
  readonly letter: string;
  readonly title: string;
  readonly story: string;
}

/** Who watches: told of each scene's beginning and end. */
export interface Audience {
  sceneBegins(scene: Heading): void;
  sceneEnds(result: Result): Promise<void> | void;
}

/** Plays every scene, also after one that was not as expected or threw an error. @throws StopDemo */
export async function play<S>(scenes: readonly Scene<S>[], stage: S, audience: Audience): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const [index, scene] of scenes.entries()) {
    const { title, story, actionId } = scene;
    const letter = String.fromCharCode(97 + index);
    audience.sceneBegins({ letter, title, story });
    const result = { letter, title, actionId, ...(await playOne(scene, stage)) };
    results.push(result);
    await audience.sceneEnds(result);
  }
  return results;
}

async function playOne<S>(scene: Scene<S>, stage: S): Promise<Pick<Result, 'played' | 'differences'>> {
  try {
    const played = await scene.play(stage, scene.actionId);
    return { played, differences: compare(played) };
  } catch (error) {
    if (error instanceof StopDemo) throw error;
    return { differences: [`the scene failed with an error: ${asCountersignError(error).message}`] };
  }
}

/** A point that is only expected, or only seen, is a difference too. */
function compare({ expected, seen }: Played): string[] {
  const points = [...new Set([...Object.keys(expected), ...Object.keys(seen)])];
  if (points.length === 0) return ['the scene checked nothing'];
  return points
    .filter((point) => !isDeepStrictEqual(expected[point], seen[point]))
    .map((point) => `${point}: expected ${inWords(expected[point])}, seen ${inWords(seen[point])}`);
}

function inWords(value: Json | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** The demo's last line. */
export function verdict(results: readonly Result[]): string {
  const good = results.filter(({ differences }) => differences.length === 0).length;
  return `demo: ${results.length} scenes, ${good} as expected`;
}

/** 0 only when every scene was as expected and the receipts verify. */
export function exitCode(results: readonly Result[], receipts: { readonly ok: boolean }): 0 | 1 {
  const good = results.length > 0 && results.every(({ differences }) => differences.length === 0);
  return good && receipts.ok ? 0 : 1;
}
