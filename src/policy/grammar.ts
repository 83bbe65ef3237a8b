/** The error that the small grammars of a bundle's texts share. */

/** A text does not fit its grammar. */
export class GrammarError extends Error {
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}
