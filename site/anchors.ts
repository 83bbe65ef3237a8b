/** The anchors of headings: those that GitHub gives, so that a link works there and on the site. */

export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

/** Anchors of one page: a heading that comes again gets a number, as on GitHub. */
export class Anchors {
  readonly #taken = new Map<string, number>();

  next(heading: string): string {
    const anchor = anchorOf(heading);
    const before = this.#taken.get(anchor);
    this.#taken.set(anchor, (before ?? 0) + 1);
    return before === undefined ? anchor : `${anchor}-${before}`;
  }
}
