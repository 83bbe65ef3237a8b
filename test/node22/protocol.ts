/** What the process of an agent is asked, and what it answers, as messages between two processes. */

export type Asked =
  | { readonly do: 'start'; readonly thread: string; readonly order: string }
  /** Goes on with the run that stopped for people. `kept`: what was answered then. */
  | { readonly do: 'resume'; readonly thread: string; readonly kept: string };

export type Answered = { readonly said: string } | { readonly kept: string } | { readonly failed: string };

/** Answers each message of the process that began this one. */
export function serve(answer: (asked: Asked) => Promise<Answered>): void {
  process.on('message', (asked: Asked) => {
    void answer(asked)
      .catch((error: unknown): Answered => ({ failed: String(error) }))
      .then((answered) => process.send?.(answered));
  });
}
