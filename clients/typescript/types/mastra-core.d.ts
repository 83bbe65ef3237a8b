/**
 * What `src/mastra.ts` uses of the types of `@mastra/core` 1, which asks for Node 22 and is therefore not installed here. Whoever uses the package has
 * Mastra's own; `npm run check:node22` holds the source against them.
 */
declare module '@mastra/core/schema' {
  export type PublicSchema<Output = unknown> = object & { readonly _output?: Output };
  export type InferPublicSchema<T extends PublicSchema> = T extends PublicSchema<infer Output> ? Output : never;
}

declare module '@mastra/core/tools' {
  import type { PublicSchema } from '@mastra/core/schema';

  export interface ToolExecutionContext<TSuspend = unknown> {
    abortSignal?: AbortSignal;
    agent?: {
      toolCallId: string;
      threadId?: string;
      suspend: (suspendPayload: TSuspend) => Promise<void>;
    };
  }

  export class Tool<TSchemaIn = unknown, TSchemaOut = unknown, TSuspendSchema = unknown> {
    id: string;
    execute?: (input: TSchemaIn, context: ToolExecutionContext<TSuspendSchema>) => Promise<TSchemaOut | void>;
    constructor(options: {
      id: string;
      description: string;
      inputSchema?: PublicSchema<TSchemaIn>;
      execute?: (input: TSchemaIn, context: ToolExecutionContext<TSuspendSchema>) => Promise<TSchemaOut | void>;
    });
  }
}
