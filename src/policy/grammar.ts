/** What the small grammars of a bundle's texts share. */

/** A text that does not fit its small grammar. */
export class GrammarError extends Error {
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}
