/** `npm run demo`: a small shop, a few agents and everything that could go wrong. `-- --yes`: without a viewer. */
import { parseArgs } from 'node:util';
import { asCountersignError } from '../../src/action/errors.js';
import { shutdown } from '../../src/dev/index.js';
import { Narrator } from './narrate.js';
import { StopDemo, exitCode, play, verdict } from './play.js';
import { scenes } from './scenes.js';
import { setStage } from './stage.js';
import { atTheKeyboard, nobody } from './viewer.js';

const { values: options } = parseArgs({ options: { yes: { type: 'boolean', short: 'y', default: false } } });
const viewer = !options.yes && process.stdin.isTTY && process.stdout.isTTY ? atTheKeyboard : nobody;
const tell = new Narrator();

// What a Ctrl-C breaks off in the middle of a scene is no failure of the scene.
let leaving = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => (leaving = true));

try {
  const stage = await setStage(tell, viewer);
  const results = await play(scenes, stage, {
    sceneBegins: (scene) => tell.scene(scene),
    async sceneEnds(result) {
      if (leaving) throw new StopDemo('the viewer left');
      tell.judged(result);
      if (result.title !== scenes.at(-1)?.title) await viewer.goOn('The next scene?');
    },
  });

  tell.summary(results, stage.link);
  const receipts = await stage.verifyReceipts();
  tell.receipts(receipts);
  await viewer.stay('The servers stay up until you end the demo, so that you can open the links.');
  await shutdown();
  tell.verdict(verdict(results));
  process.exitCode = exitCode(results, receipts);
} catch (error) {
  await shutdown();
  if (!(error instanceof StopDemo) && !leaving) tell.failure(asCountersignError(error));
  process.exitCode = error instanceof StopDemo || leaving ? 130 : 1;
}
