/** The command line: every command with its help, as `--help` prints it. */
import { PassThrough, Readable } from 'node:stream';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.js';
import { EXIT_CODES } from '../../src/cli/exit-codes.js';
import { table } from './table.js';

const COLUMNS = 100;

export function commandLine(): string {
  let said = '';
  const quiet = () => Object.assign(new PassThrough(), { isTTY: false, columns: COLUMNS });
  const program = createProgram({ env: {}, stdin: Readable.from([]), stdout: quiet(), stderr: quiet() });
  const help = (command: Command): string => {
    said = '';
    command.configureOutput({ writeOut: (text) => (said += text), getOutHelpWidth: () => COLUMNS });
    command.outputHelp();
    return said.trimEnd();
  };
  const commands = program.commands.filter((command) => command.name() !== 'help');
  return [
    '# The command line',
    'Every command, with its help as `countersign <command> --help` prints it. `--json` makes each print one JSON document instead of text.',
    text(help(program)),
    '## Exit codes',
    table(
      ['code', 'means'],
      Object.values(EXIT_CODES).map(({ code, meaning }) => [String(code), meaning]),
    ),
    ...commands.flatMap((command) => section(command, `countersign ${command.name()}`, 2, help)),
  ].join('\n\n');
}

function section(command: Command, name: string, level: number, help: (command: Command) => string): readonly string[] {
  return [
    `${'#'.repeat(level)} ${name}`,
    text(help(command)),
    ...command.commands.flatMap((inner) => section(inner, `${name} ${inner.name()}`, Math.min(level + 1, 4), help)),
  ];
}

function text(help: string): string {
  return `\`\`\`text\n${help}\n\`\`\``;
}
