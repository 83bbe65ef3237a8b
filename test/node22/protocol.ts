/** What the process of the agents is asked, and what it answers, as messages between two processes. */

export type Asked =
  | { readonly do: 'start'; readonly thread: string; readonly order: string }
  /** Goes on with the run of the thread that is suspended in the storage. */
  | { readonly do: 'resume'; readonly thread: string };

export type Answered = { readonly said: string } | { readonly kept: string } | { readonly failed: string };
