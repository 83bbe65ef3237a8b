/** The one who watches: at a keyboard, asked to go on and to play the dba; or absent, and everything goes on by itself. */
import { confirm, isCancel, select } from '@clack/prompts';
import { StopDemo } from './play.js';

export type Verdict = 'approve' | 'deny';

export interface Viewer {
  /** Waits until the viewer wants to go on. @throws StopDemo */
  goOn(question: string): Promise<void>;
  /** Waits until the viewer has seen enough. */
  stay(message: string): Promise<void>;
  /** Asks the viewer to decide as the dba. @throws StopDemo */
  decide(question: string): Promise<Verdict>;
}

export const nobody: Viewer = {
  goOn: async () => {},
  stay: async () => {},
  decide: async () => 'approve',
};

export const atTheKeyboard: Viewer = {
  async goOn(question) {
    const answer = await confirm({ message: question, active: 'go on', inactive: 'leave' });
    if (answer !== true) throw new StopDemo('the viewer left');
  },
  async stay(message) {
    await select({ message, options: [{ value: 'end', label: 'End the demo' }] });
  },
  async decide(question) {
    const answer = await select<Verdict>({
      message: question,
      options: [
        { value: 'approve', label: 'Approve', hint: 'sign exactly what is shown above' },
        { value: 'deny', label: 'Deny', hint: 'nothing is deleted' },
      ],
    });
    if (isCancel(answer)) throw new StopDemo('the viewer left');
    return answer;
  },
};
