/** Why the site cannot be built: told to whoever writes the pages, all of it at once. */

export class SiteError extends Error {
  readonly problems: readonly string[];
  readonly fix: string;

  constructor(problems: readonly string[], fix: string) {
    super(`${problems.join('\n')}\n${fix}`);
    this.problems = problems;
    this.fix = fix;
    this.name = 'SiteError';
  }
}
