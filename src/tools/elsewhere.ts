/** How a tool is made anew on another system, so that it can be tried where nothing can be harmed. */

/** A system that is nobody's. */
export interface Place {
  /** Of a Postgres, or of a service on this machine. */
  readonly url: string;
  /** What every credential of the tool's config becomes. */
  readonly secret: `env:${string}`;
  /** Tables that triggers of that system write besides, `schema.name`. */
  readonly alsoWritten?: readonly string[];
}

/** `Made`: what is made, a tool. */
export interface Elsewhere<Made> {
  /** What is needed: a database of its own, or the address of a sandbox of the service. */
  readonly needs: 'database' | 'address';
  /** Whether this is the address of the system that the tool is configured for. Pure. */
  isOwn(url: string): boolean;
  /**
   * The tool with the same definitions at that place. Nothing goes with it that leads back: no address, credential, certificate, resolver
   * or task queue. Connects to nothing yet.
   */
  at(place: Place): Made;
  /**
   * SQL statements that make what it covers, without any rows, in an order in which they can be run; for a tool that needs a database. Reads
   * the catalog of its own database, in a transaction that is READ ONLY.
   *
   * @throws CountersignError TOOL_UNAVAILABLE
   */
  definitions?(signal: AbortSignal): Promise<readonly string[]>;
}
