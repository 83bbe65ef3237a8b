/** Runs files of tests in the order in which a part names them: most mutants are noticed by the first, and the run ends there. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const PATTERNS = (process.env['MUTATION_TESTS'] ?? '').split(' ').map(
  (pattern) =>
    new RegExp(
      `/${pattern
        .replaceAll(/[.+^$()|[\]\\]/g, String.raw`\$&`)
        .replaceAll('*', '[^/]*')
        .replaceAll(/\{([^}]*)\}/g, (_, names: string) => `(?:${names.replaceAll(',', '|')})`)}$`,
    ),
);

export class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => PATTERNS.findIndex((pattern) => pattern.test(moduleId));
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
