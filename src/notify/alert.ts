/** What a channel tells where something is wrong, whoever found it: the radar, or a worker whose ledger takes no receipt. */

export interface Alert {
  /** Of its events: `radar.unexplained`, `ledger.broken`. */
  readonly type: string;
  /** RFC 3339 UTC. */
  readonly at: string;
  /** What it is about: the name of a tool, `ledger`. */
  readonly subject: string;
  readonly title: string;
  readonly environment?: string;
  /** At least one, each of one line. */
  readonly lines: readonly string[];
  /** The URL of the page where people look, which requires a login. */
  readonly link?: string;
  /** What receivers that are programs get of it. */
  readonly data: Readonly<Record<string, unknown>>;
}
