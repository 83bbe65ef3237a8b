/**
 * Tells Stryker of what fails outside of tests. Where a hook of a file fails, or its loading, vitest leaves its tests without a result, and Stryker,
 * which reads nothing else, would take the mutant for one that nobody noticed.
 */
import type { Reporter, TestModule } from 'vitest/node';

/** What this needs of vitest's own record of a file, a suite or a test. */
interface Task {
  readonly type: string;
  readonly tasks?: Task[];
  mode: string;
  result?: { state: string; readonly errors?: unknown };
}

export class HookFailures implements Reporter {
  onTestModuleEnd(module: TestModule): void {
    const file = (module as unknown as { readonly task: Task }).task;
    if (file.result?.state !== 'fail') return;
    const result = { ...file.result };
    const tests = testsIn(file);
    if (tests.some((test) => test.result?.state === 'fail')) return;
    if (tests.length === 0)
      file.tasks?.push({
        type: 'test',
        name: 'loads',
        mode: 'run',
        file,
        result,
        meta: {},
        annotations: [],
        artifacts: [],
      } as Task);
    for (const test of tests) {
      // Such a test counts as skipped otherwise.
      test.mode = 'run';
      test.result = result;
    }
  }
}

function testsIn({ tasks = [] }: Task): readonly Task[] {
  return tasks.flatMap((task) => (task.type === 'suite' ? testsIn(task) : [task]));
}
